"""Follow the gallery network itself: regression of the query embedding onto the gallery's.

Budnik and Avrithis (2020, "Asymmetric metric learning") found plain regression the strongest in
asymmetric testing. It needs no labels, so it also learns from views that show two images at once,
and it pulls where a classifier can't: between the classes.
"""

from torch import Tensor

from cmpc_search.compatibility.base import Batch, CompatibilityMethod
from cmpc_search.compatibility.bct import BackwardCompatible

__all__ = ["Regression", "RegressionWithBct"]

# The cosine loss is at most 2 where a cross-entropy starts at the log of the classes.
REGRESSION_WEIGHT = 10.0


class Regression(CompatibilityMethod):
    """``1 - cosine`` between query and gallery embedding of the same view."""

    def loss(self, embeddings: Tensor, batch: Batch) -> Tensor:
        return (1 - (embeddings * batch.targets).sum(dim=1)).mean()


class RegressionWithBct(CompatibilityMethod):
    """The sum of both, which ties the classes and what lies between them."""

    def __init__(self, gallery_directions: Tensor) -> None:
        super().__init__()
        self.bct = BackwardCompatible(gallery_directions)
        self.regression = Regression()

    def loss(self, embeddings: Tensor, batch: Batch) -> Tensor:
        following = self.regression.loss(embeddings, batch)
        loss: Tensor = self.bct.loss(embeddings, batch) + REGRESSION_WEIGHT * following
        return loss
