"""Train the large network of the gallery side.

Two losses on the same unit embeddings: a cosine classifier with a margin (CosFace), whose class
directions later serve as the frozen gallery classifier, and a contrast between the two roles of a
class within the batch, which is the search task itself. With a few images a class the classifier
alone learns slowly: its 1,000 directions each move only when their class turns up.

Every batch holds one query-role and one gallery-role image of each of its classes.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from cmpc_base.progress import Progress
from cmpc_search.data import ImageSet
from cmpc_search.errors import BadData
from cmpc_search.networks.gallery import GalleryNetwork, ResidualShape
from cmpc_search.networks.heads import CosineClassifier, margin_cross_entropy
from cmpc_search.pixels import to_float
from cmpc_search.training.augmentation import Augmentation
from cmpc_search.training.compute import (
    has_fast_bfloat16,
    mixed_precision,
    to_layout,
    use_channels_last,
)
from cmpc_search.training.loop import Schedule, optimise

__all__ = ["GalleryTraining", "train_gallery_network"]


class GalleryTraining(BaseModel):
    """How the gallery network is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_steps: int = Field(2400, ge=1, description="Updates in all.")
    classes_per_batch: int = Field(24, ge=2, description="Classes in a batch, two images each.")
    learning_rate: float = Field(4e-3, gt=0, le=1000)
    weight_decay: float = Field(0.05, ge=0, le=1000)
    scale: float = Field(16.0, gt=0, le=1e6, description="Inverse temperature of the classifier.")
    margin: float = Field(0.1, ge=0, lt=1, description="CosFace margin of the classifier.")
    contrast_weight: float = Field(
        1.0, ge=0, le=1e6, description="Weight of the contrast between roles."
    )
    contrast_scale: float = Field(
        10.0, gt=0, le=1e6, description="Inverse temperature of the contrast."
    )


class _Learner(nn.Module):
    """Network and classifier together, as the optimiser sees them."""

    def __init__(self, network: GalleryNetwork, num_classes: int) -> None:
        super().__init__()
        self.network = network
        self.classifier = CosineClassifier(num_classes, network.shape.embedding_dim)


def train_gallery_network(
    shape: ResidualShape,
    image_set: ImageSet,
    training: GalleryTraining,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> tuple[GalleryNetwork, Tensor]:
    """Return the trained network and its class directions float32 [C, D].

    Row c of the directions belongs to the c-th of the sorted training classes of ``image_set``.

    Goes on from ``checkpoint`` if it exists.

    Raises:
        BadData: fewer than two training classes have images of both roles.
        BadRun: the checkpoint is not of this network, or the loss is not finite.
    """
    torch.manual_seed(seed)
    batches = _PairBatches(image_set, training.classes_per_batch, seed)
    learner = _Learner(GalleryNetwork(shape), batches.count)
    use_channels_last(learner.network)
    is_mixed = has_fast_bfloat16()

    def loss_at(step: int) -> Tensor:
        views, labels = batches.draw(step)
        with mixed_precision(enabled=is_mixed):
            embeddings = learner.network(to_layout(views))
        embeddings = embeddings.float()
        loss = margin_cross_entropy(
            learner.classifier(embeddings), labels, scale=training.scale, margin=training.margin
        )
        return loss + training.contrast_weight * _contrast(embeddings, training.contrast_scale)

    schedule = Schedule(
        num_steps=training.num_steps,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        checkpoint=checkpoint,
    )
    learner.train()
    optimise(learner, loss_at, schedule, progress=progress)
    return learner.network.eval(), functional.normalize(learner.classifier.weight.detach(), dim=1)


def _contrast(embeddings: Tensor, scale: float) -> Tensor:
    """Cross-entropy of finding each image's partner in the other half of the batch, both ways."""
    queries, gallery = embeddings.chunk(2)
    scores = scale * queries @ gallery.T
    partner = torch.arange(len(queries))
    across = functional.cross_entropy(scores, partner)
    return (across + functional.cross_entropy(scores.T, partner)) / 2


class _PairBatches:
    """Batches of classes, one augmented image of each role a class; a function of the step."""

    def __init__(self, image_set: ImageSet, classes_per_batch: int, seed: int) -> None:
        self._images = image_set.images
        self._seed = seed
        queries = _by_class(image_set, "query")
        gallery = _by_class(image_set, "gallery")
        classes = sorted(queries.keys() | gallery.keys())
        self.count = len(classes)
        self._pairs = [
            (label, queries[name], gallery[name])
            for label, name in enumerate(classes)
            if name in queries and name in gallery
        ]
        if len(self._pairs) < 2:
            raise BadData(
                "at least two training classes must have images of both roles, "
                f"got {len(self._pairs)} of {self.count}"
            )
        self._batch = min(classes_per_batch, len(self._pairs))
        self._augment = Augmentation()

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Return views float32 [2 B, 3, S, S], query roles first, and labels int64 [2 B]."""
        per_epoch = len(self._pairs) // self._batch
        epoch, position = divmod(step, per_epoch)
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self._pairs))
        chosen = [
            self._pairs[one] for one in order[position * self._batch : (position + 1) * self._batch]
        ]
        rng = np.random.default_rng((self._seed, 1, step))
        picked = [rng.choice(pair[1]) for pair in chosen] + [rng.choice(pair[2]) for pair in chosen]
        images = to_float(torch.from_numpy(np.ascontiguousarray(self._images[picked])))
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + step)
        labels = torch.tensor([pair[0] for pair in chosen])
        return self._augment(images, generator), labels.repeat(2)


def _by_class(image_set: ImageSet, role: str) -> dict[int, npt.NDArray[np.int64]]:
    """Return the positions of the training images of a role, by class."""
    positions = image_set.select(split="train", role=role)
    labels = image_set.labels[positions]
    return {int(label): positions[labels == label] for label in np.unique(labels)}
