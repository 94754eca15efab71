"""Backward-compatible training: the query embedding must also satisfy the gallery's classifier.

Shen et al., CVPR 2020, and CMP-NAS (Duggal et al., CVPR 2021), which trains supernet and pick
with it:

    loss = CE(own classifier, label) + weight * CE(frozen gallery classifier, label)

Both classifiers are cosine classifiers, and the own one starts from the gallery's.
"""

import torch
from torch import Tensor

from cmpc_search.compatibility.base import NO_LABEL, Batch, CompatibilityMethod
from cmpc_search.networks.heads import CosineClassifier, margin_cross_entropy

__all__ = ["BackwardCompatible", "Independent", "labelled_cross_entropy"]

SCALE = 16.0  # inverse temperature of both cosine classifiers


class Independent(CompatibilityMethod):
    """No compatibility at all: the control that any method must beat across networks."""

    def __init__(self, gallery_directions: Tensor) -> None:
        super().__init__()
        self.own = CosineClassifier(*gallery_directions.shape)

    def loss(self, embeddings: Tensor, batch: Batch) -> Tensor:
        return labelled_cross_entropy(self.own, embeddings, batch.labels)


class BackwardCompatible(CompatibilityMethod):
    """BCT with the gallery's class directions [C, D] as the frozen classifier."""

    def __init__(self, gallery_directions: Tensor, *, gallery_weight: float = 1.0) -> None:
        super().__init__()
        self.gallery_weight = gallery_weight
        self.gallery = CosineClassifier.frozen(gallery_directions)
        self.own = CosineClassifier(*gallery_directions.shape)
        with torch.no_grad():
            self.own.weight.copy_(gallery_directions)

    def loss(self, embeddings: Tensor, batch: Batch) -> Tensor:
        own = labelled_cross_entropy(self.own, embeddings, batch.labels)
        gallery = labelled_cross_entropy(self.gallery, embeddings, batch.labels)
        return own + self.gallery_weight * gallery


def labelled_cross_entropy(head: CosineClassifier, embeddings: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy over the views that have a label; 0 when none has."""
    is_labelled = labels != NO_LABEL
    if not is_labelled.any():
        return embeddings.sum() * 0
    return margin_cross_entropy(head(embeddings[is_labelled]), labels[is_labelled], scale=SCALE)
