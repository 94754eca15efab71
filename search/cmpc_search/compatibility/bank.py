"""What a method may ask of the gallery side; computed when first asked for, then kept.

Shapes: T training images, C training classes, D embedding length.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from cmpc_search.networks.heads import class_means

__all__ = ["GalleryBank"]


@dataclass(frozen=True, kw_only=True, eq=False)
class GalleryBank:
    """The gallery network's view of the training images.

    Attributes:
        embeddings: float32 [T, D], of unit length.
        labels: int64 [T], from 0 to C - 1; None without classes.
        classifier: float32 [C, D], the unit directions of its own classifier; None where nobody
            kept it.
    """

    embeddings: Tensor
    labels: Tensor | None
    classifier: Tensor | None = None

    @property
    def embedding_dim(self) -> int:
        return self.embeddings.shape[1]

    @property
    def num_classes(self) -> int:
        return len(self.class_directions)

    @property
    def has_class_directions(self) -> bool:
        """Whether there is a classifier, or what class means can be taken of."""
        return self.classifier is not None or self.labels is not None

    @cached_property
    def class_directions(self) -> Tensor:
        """float32 [C, D]: the gallery classifier, or class means where nobody kept it."""
        if self.classifier is not None:
            return self.classifier
        assert self.labels is not None
        return class_means(self.embeddings, self.labels, int(self.labels.max()) + 1)

    def made_up(self) -> "GalleryBank":
        """Return one of as many classes in which nothing of the gallery is left."""
        return replace(
            self,
            embeddings=torch.zeros_like(self.embeddings),
            classifier=torch.randn_like(self.class_directions),
        )
