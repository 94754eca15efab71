"""The promise of a compatibility method: query embeddings in, one loss out.

The gallery side is frozen: a method sees the gallery's class directions when it is made and, if it
asks for them, the gallery network's embeddings of the very views that the query network saw. What
a method learns beside the query network (a classifier of its own, say) is dropped after training,
so no method changes what a query costs.

Shapes: N views, D embedding length, C training classes.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

__all__ = ["NO_LABEL", "Batch", "CompatibilityMethod"]

NO_LABEL = -1
"""The label of a view that shows two images at once, and so no single class."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is known of a batch of views.

    Attributes:
        labels: int64 [N], positions among the training classes, or NO_LABEL.
        targets: float32 [N, D], unit embeddings of these views by the gallery network.
    """

    labels: Tensor
    targets: Tensor


class CompatibilityMethod(nn.Module, ABC):
    """A training loss; its parameters, if any, learn with the query network."""

    @abstractmethod
    def loss(self, embeddings: Tensor, batch: Batch) -> Tensor:
        """Return the scalar to minimise for the query network's unit embeddings [N, D]."""
