"""What every way of judging embeddings promises: its metrics, and the rank of each query's answer.

    LabelledRows of queries, of a gallery --> Protocol.evaluate --> ProtocolResult
                                                                     metrics, ranks

Metrics are what a protocol is known for. The ranks are kept whatever they are: intervals, paired
tests and negative flips all follow from them, see ``statistics`` and ``judgement``.

Shapes: N rows, D values each.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmpc_kernels import QueryRanks
from cmpc_search.errors import BadArgument

__all__ = ["NO_GALLERY", "LabelledRows", "Protocol", "ProtocolResult", "TemplateRows"]

NO_GALLERY = -1
"""Stands for the gallery of a template that asks, and is in none."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TemplateRows:
    """Which rows make one template together, as a person's images and video frames do.

    Attributes:
        template_ids: int64 [N]; a template is of one label and in one gallery, or in none.
        media_ids: int64 [N], of the image or the video that a row is of.
        galleries: int64 [N], the number of the gallery that holds the template, or NO_GALLERY.
        pairs: int64 [P, 2], template ids of what is compared 1:1: the first is one of the queries,
            the second one of the gallery. None: all that ask with all that a gallery holds.
    """

    template_ids: npt.NDArray[np.int64]
    media_ids: npt.NDArray[np.int64]
    galleries: npt.NDArray[np.int64]
    pairs: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if not len(self.template_ids) == len(self.media_ids) == len(self.galleries):
            raise BadArgument(
                f"template_ids, media_ids and galleries must be as many, got "
                f"{len(self.template_ids)}, {len(self.media_ids)} and {len(self.galleries)}"
            )

    def __len__(self) -> int:
        return len(self.template_ids)

    def at(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "TemplateRows":
        """Return what is said of some of the rows; pairs stay as they are."""
        return TemplateRows(
            template_ids=self.template_ids[rows],
            media_ids=self.media_ids[rows],
            galleries=self.galleries[rows],
            pairs=self.pairs,
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelledRows:
    """The embeddings of one side of a search, with what a protocol may ask of each row.

    Attributes:
        embeddings: float32 [N, D].
        labels: int64 [N], positions in ``label_names``; names tell whether a label of one side is
            one of the other.
        item_ids: [N], what is shown; an item of the gallery is no answer to itself. None where no
            item is on both sides.
        groups: [N], such as the camera, the session or the shop that an image comes from: items of
            a query's own label and group are too easy and don't count. None where all do.
        templates: What each row is a part of; None where each stands for itself.

    Raises:
        BadArgument: the columns are not as long as the rows are many.
    """

    embeddings: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    label_names: tuple[str, ...]
    item_ids: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    templates: TemplateRows | None = None

    def __post_init__(self) -> None:
        for name in ("labels", "item_ids", "groups", "templates"):
            column = getattr(self, name)
            if column is not None and len(column) != len(self):
                raise BadArgument(
                    f"{name} must be as many as the {len(self)} rows, got {len(column)}"
                )

    def __len__(self) -> int:
        return len(self.embeddings)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ProtocolResult:
    """What a protocol found.

    Attributes:
        metrics: The protocol's numbers by name, from 0 to 1, higher is better.
        ranks: Where each query with something to find has its right items.
    """

    metrics: Mapping[str, float]
    ranks: QueryRanks


class Protocol(ABC):
    """One way to judge how well queries find their labels in a gallery."""

    @abstractmethod
    def evaluate(self, queries: LabelledRows, gallery: LabelledRows) -> ProtocolResult:
        """Judge the embeddings of ``queries`` by what they find in ``gallery``.

        Raises:
            BadArgument: no query has anything to find, or the sides don't fit the protocol.
        """
