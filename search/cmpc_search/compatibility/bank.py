"""What a method may ask of the gallery side; computed when first asked for, then kept.

Shapes: T training images, R of them that stand in the gallery, C training classes, D embedding
length, K neighbours.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from cmpc_search.networks.heads import class_means

__all__ = ["MOST_NEIGHBOURS", "NO_LABEL", "GalleryBank"]

NO_LABEL = -1
"""The label of what shows no single known class: a view of two images, an image of no class."""

MOST_NEIGHBOURS = 256
BLOCK_SIZE = 256  # images whose similarities to all rows are in memory at once


@dataclass(frozen=True, kw_only=True, eq=False)
class GalleryBank:
    """The gallery network's view of the training images.

    Attributes:
        embeddings: float32 [T, D], of unit length.
        labels: int64 [T], from 0 to C - 1, or NO_LABEL; None without classes.
        classifier: float32 [C, D], the unit directions of its own classifier; None where nobody
            kept it.
        is_query: bool [T], whether an image stands on the query side of a search; None where nobody
            knows.
    """

    embeddings: Tensor
    labels: Tensor | None
    classifier: Tensor | None = None
    is_query: Tensor | None = None

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
        known = self.labels != NO_LABEL
        num_classes = int(self.labels.max()) + 1
        return class_means(self.embeddings[known], self.labels[known], num_classes)

    @cached_property
    def gallery_positions(self) -> Tensor:
        """int64 [R]: the images that stand in the gallery; all where nobody knows, or none does."""
        if self.is_query is None or bool(self.is_query.all()):
            return torch.arange(len(self.embeddings))
        return (~self.is_query).nonzero()[:, 0]

    @property
    def gallery_rows(self) -> Tensor:
        """float32 [R, D]: what a search among the training images would look through."""
        return self.embeddings[self.gallery_positions]

    @cached_property
    def neighbours(self) -> Tensor:
        """int32 [T, K]: each image's nearest gallery rows, nearest first.

        They are exact. K is MOST_NEIGHBOURS, or R if that is less.
        """
        rows = self.gallery_rows
        count = min(MOST_NEIGHBOURS, len(rows))
        blocks = torch.split(self.embeddings, BLOCK_SIZE)
        return torch.cat([(block @ rows.T).topk(count).indices.int() for block in blocks])

    def made_up(self) -> "GalleryBank":
        """Return one of as many classes in which nothing of the gallery is left."""
        return replace(
            self,
            embeddings=torch.zeros_like(self.embeddings),
            classifier=torch.randn_like(self.class_directions),
        )
