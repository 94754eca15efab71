"""Follow the gallery network itself: regression of the query embedding onto the gallery's.

Budnik and Avrithis (CVPR 2021, "Asymmetric metric learning for knowledge transfer") found plain
regression the strongest in asymmetric testing. It needs no labels, so it also learns from views
that show two images at once, and it pulls where a classifier can't: between the classes.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from cmpc_search.compatibility.base import Method, MethodSettings, Need, Step

__all__ = ["Regression", "RegressionSettings"]


class RegressionSettings(MethodSettings):
    """What is set of a regression."""

    # The cosine loss is at most 2 where a cross-entropy starts at the log of the classes.
    weight: float = Field(10.0, ge=0, le=1e6, description="Weight of its losses.")
    distance: Literal["cosine", "l2"] = Field(
        "cosine", description="1 - cosine, or the distance, whose pull doesn't fade when near."
    )


class Regression(Method):
    """``1 - cosine`` of query and gallery embedding of a view, or the distance between them."""

    Settings = RegressionSettings
    settings: RegressionSettings
    needs = frozenset({Need.GALLERY_EMBEDDINGS})

    def losses(self, embeddings: Tensor, step: Step) -> Mapping[str, Tensor]:
        assert step.gallery_embeddings is not None  # they are among the needs
        if self.settings.distance == "l2":
            distances = torch.linalg.vector_norm(embeddings - step.gallery_embeddings, dim=1)
        else:
            distances = 1 - (embeddings * step.gallery_embeddings).sum(dim=1)
        return {self.settings.distance: step.mean(distances)}
