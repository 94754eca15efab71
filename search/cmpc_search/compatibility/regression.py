"""Follow the gallery network itself: regression of the query embedding onto the gallery's.

Budnik and Avrithis (2020, "Asymmetric metric learning") found plain regression the strongest in
asymmetric testing. It needs no labels, so it also learns from views that show two images at once,
and it pulls where a classifier can't: between the classes.
"""

from collections.abc import Mapping

from pydantic import Field
from torch import Tensor

from cmpc_search.compatibility.base import Method, MethodSettings, Need, Step
from cmpc_search.compatibility.bct import BackwardCompatible, BctSettings
from cmpc_search.compatibility.sums import Sum

__all__ = ["BctRegression", "Regression"]


class Regression(Method):
    """``1 - cosine`` between query and gallery embedding of the same view."""

    needs = frozenset({Need.GALLERY_EMBEDDINGS})

    def __init__(self, settings: MethodSettings) -> None:
        super().__init__()

    def losses(self, embeddings: Tensor, step: Step) -> Mapping[str, Tensor]:
        assert step.gallery_embeddings is not None  # they are among the needs
        return {"cosine": (1 - (embeddings * step.gallery_embeddings).sum(dim=1)).mean()}


class BctRegressionSettings(BctSettings):
    """What is set of the sum of both."""

    # The cosine loss is at most 2 where a cross-entropy starts at the log of the classes.
    regression_weight: float = Field(10.0, ge=0, le=1e6, description="Weight of the regression.")


class BctRegression(Sum):
    """Both, which ties the classes and what lies between them."""

    Settings = BctRegressionSettings

    def __init__(self, settings: BctRegressionSettings) -> None:
        super().__init__(
            {"regression": Regression(MethodSettings()), "bct": BackwardCompatible(settings)},
            weights={"regression": settings.regression_weight},
        )
