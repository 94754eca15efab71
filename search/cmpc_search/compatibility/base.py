"""The promise of a compatibility method: query embeddings in, named losses out.

    needs    what the data and the gallery must have; asked before anything is trained
    prepare  takes from the gallery side what it wants, once
    losses   the terms to minimise on a step

The gallery side is frozen. What a method learns beside the query network (a classifier of its own,
say) is dropped after training, so no method changes what a query costs.

Shapes: N views, D embedding length, S pixels a side.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from cmpc_search.compatibility.bank import NO_LABEL, GalleryBank

__all__ = ["NO_LABEL", "Method", "MethodSettings", "Need", "Step"]


class Need(StrEnum):
    """What not every gallery or data set has, and not every method does without."""

    LABELS = "labels"
    CLASSIFIER = "a gallery classifier"
    """Class means of the gallery's embeddings serve where there are labels."""
    GALLERY_EMBEDDINGS = "gallery embeddings of the views"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Step:
    """A batch of views, and what is known of each.

    Attributes:
        number: Of this step in its training, from 0.
        progress: The share of the training that is done, in [0, 1).
        views: float32 [N, 3, S, S].
        item_ids: int64 [N], the image that a view is of; views of one image share it.
        labels: int64 [N], positions among the training classes, or NO_LABEL; None without classes.
        gallery_embeddings: float32 [N, D], unit embeddings of these views by the gallery network;
            None where there is none yet.
        weights: float32 [N], how much each view counts; None where all count alike.
    """

    number: int
    progress: float
    views: Tensor
    item_ids: Tensor
    labels: Tensor | None
    gallery_embeddings: Tensor | None = None
    weights: Tensor | None = None

    def shares(self, chosen: Tensor | None = None) -> Tensor:
        """Return the share float32 [N] of each view in a mean over those chosen, bool [N].

        Shares sum to 1, or are all 0 where no view is chosen.
        """
        ones = torch.ones(len(self.item_ids), device=self.item_ids.device)
        weights = ones if self.weights is None else self.weights
        counted = weights if chosen is None else weights * chosen
        return counted / counted.sum().clamp_min(torch.finfo(counted.dtype).tiny)

    def mean(self, values: Tensor, chosen: Tensor | None = None) -> Tensor:
        """Return the mean of ``values`` float32 [N] over the chosen views; 0 where none is."""
        return (self.shares(chosen) * values).sum()


class MethodSettings(BaseModel):
    """What a user may set of every method."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: float = Field(1.0, ge=0, le=1e6, description="Weight of its losses.")
    wrong_weight: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Weight of views of which the gallery network itself gets the class wrong.",
    )


class Method(nn.Module, ABC):
    """Training losses; parameters, if there are any, learn with the query network.

    Methods with a name are made from their ``Settings`` alone, and prepared before they are used.

    Attributes:
        Settings: What a user may set; both weights are applied by `Sum`.
        needs: What it can't do without; it must do without all else.
        fewest_views: Of an image that a batch must hold for all of its terms to be terms.
    """

    Settings: ClassVar[type[MethodSettings]] = MethodSettings
    needs: frozenset[Need] = frozenset()
    fewest_views: int = 1

    def __init__(self, settings: MethodSettings) -> None:
        super().__init__()
        self.settings = settings

    def prepare(self, bank: GalleryBank) -> None:
        """Take what is needed of the gallery side; parameters are made here at the latest.

        Tensors are kept as parameters or buffers: a method is moved to where it is trained, and
        its state goes into checkpoints. A buffer that is the gallery's own rows need not be
        persistent; one that was computed of them is.
        """

    @abstractmethod
    def losses(self, embeddings: Tensor, step: Step) -> Mapping[str, Tensor]:
        """Return scalars to minimise the sum of, by name, for unit embeddings float32 [N, D].

        Each view counts as much as ``step.shares()`` says.
        """
