"""Backward-compatible training: the query embedding must also satisfy the gallery's classifier.

Shen et al., CVPR 2020, and CMP-NAS (Duggal et al., CVPR 2021), which trains supernet and pick
with it:

    loss = CE(own classifier, label) + weight * CE(frozen gallery classifier, label)

Both classifiers are cosine classifiers, and the own one starts from the gallery's.
"""

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from cmpc_search.compatibility.bank import GalleryBank
from cmpc_search.compatibility.base import NO_LABEL, Method, MethodSettings, Need, Step
from cmpc_search.networks.heads import CosineClassifier

__all__ = ["BackwardCompatible", "BctSettings", "ClassifierSettings", "Independent"]


class ClassifierSettings(MethodSettings):
    """What is set of a cosine classifier."""

    scale: float = Field(16.0, gt=0, le=1e6, description="Inverse temperature of the classifiers.")


class BctSettings(ClassifierSettings):
    """What is set of backward-compatible training."""

    gallery_weight: float = Field(
        1.0, ge=0, le=1e6, description="Weight of the gallery's classifier."
    )


class Independent(Method):
    """No compatibility at all: the control that any method must beat across networks."""

    Settings = ClassifierSettings
    settings: ClassifierSettings
    needs = frozenset({Need.LABELS})

    def prepare(self, bank: GalleryBank) -> None:
        self.own = CosineClassifier(bank.num_classes, bank.embedding_dim)

    def losses(self, embeddings: Tensor, step: Step) -> Mapping[str, Tensor]:
        return {"own": _cross_entropy(self.own(embeddings), step, self.settings.scale)}


class BackwardCompatible(Method):
    """BCT with the gallery's class directions as the frozen classifier."""

    Settings = BctSettings
    settings: BctSettings
    needs = frozenset({Need.LABELS, Need.CLASSIFIER})

    def prepare(self, bank: GalleryBank) -> None:
        self.gallery = CosineClassifier.frozen(bank.class_directions)
        self.own = CosineClassifier(bank.num_classes, bank.embedding_dim)
        with torch.no_grad():
            self.own.weight.copy_(bank.class_directions)

    def losses(self, embeddings: Tensor, step: Step) -> Mapping[str, Tensor]:
        scale = self.settings.scale
        own = _cross_entropy(self.own(embeddings), step, scale)
        gallery = _cross_entropy(self.gallery(embeddings), step, scale)
        return {"own": own, "gallery": self.settings.gallery_weight * gallery}


def _cross_entropy(cosines: Tensor, step: Step, scale: float) -> Tensor:
    """Return the mean over the views that have a label; 0 when none has."""
    labels = step.labels
    assert labels is not None  # they are among the needs
    each = functional.cross_entropy(
        scale * cosines, labels, ignore_index=NO_LABEL, reduction="none"
    )
    return step.mean(each, labels != NO_LABEL)
