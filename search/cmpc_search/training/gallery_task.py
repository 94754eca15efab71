"""Train the large network of the gallery side.

Two losses on the same unit embeddings: a cosine classifier with a margin (CosFace), whose class
directions later serve as the frozen gallery classifier, and a contrast between the two roles of a
class within the batch, which is the search task itself. With a few images a class the classifier
alone learns slowly: its 1,000 directions each move only when their class turns up.

Every batch holds one query-role and one gallery-role image of each of its classes.

A student can learn along: a small network that follows the embeddings of the large one, which in
turn is drawn towards what the student makes of the same views (after Park et al., "Learning
student-friendly teacher networks for knowledge distillation", NeurIPS 2021). What a large network
learns of its training classes by heart no small one can follow, and it helps nobody with others.
The student goes when the training ends: query networks learn from the gallery network alone.
"""

from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from cmpc_search.compatibility.base import NO_LABEL, Step
from cmpc_search.compatibility.regression import RegressionSettings
from cmpc_search.data import ImageSet, numbered_from_zero
from cmpc_search.networks.gallery.base import GalleryNetwork, GalleryShape
from cmpc_search.networks.gallery.whitening import whitened
from cmpc_search.networks.heads import CosineClassifier, class_means, margin_cross_entropy
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.space.plan import Plan
from cmpc_search.training.compute import Compute
from cmpc_search.training.contrast import EmbeddingQueue, contrast
from cmpc_search.training.embedding import embed_images
from cmpc_search.training.execution import Execution
from cmpc_search.training.loop import train
from cmpc_search.training.pairs import PairBatches
from cmpc_search.training.recalibration import clean_images, rebuild_batch_norms
from cmpc_search.training.settings import GalleryTraining
from cmpc_search.training.task import Task
from cmpc_search.training.views import ViewMaker

__all__ = ["train_gallery_network"]

FOLLOWING_WEIGHT = RegressionSettings().weight  # a student follows as query networks do


class GalleryTask(Task):
    """The gallery network and its classifier together."""

    def __init__(
        self, network: GalleryNetwork, num_classes: int, training: GalleryTraining, compute: Compute
    ) -> None:
        super().__init__()
        self.network = network
        self.classifier = CosineClassifier(num_classes, network.shape.embedding_dim)
        self.queue = EmbeddingQueue(training.queue_size, network.shape.embedding_dim)
        self.training_settings = training
        self.compute = compute
        self._seen: list[tuple[Tensor, Tensor]] = []  # gallery embeddings of this step, and labels
        if training.backbone_rate_share == 0:
            for layer in network.pretrained_layers():
                layer.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Switch to training, but leave the batch norms of frozen layers as they are."""
        super().train(mode)
        if self.training_settings.backbone_rate_share == 0:
            for layer in self.network.pretrained_layers():
                layer.eval()
        return self

    def rate_share(self, parameter_name: str) -> float:
        is_pretrained = parameter_name.removeprefix("network.") in self.network.pretrained_names
        return self.training_settings.backbone_rate_share if is_pretrained else 1.0

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        with self.compute.autocast():
            embeddings = self.network(step.views)
        return self._losses_of(embeddings.float(), step)

    def _losses_of(self, embeddings: Tensor, step: Step) -> dict[str, Tensor]:
        assert step.labels is not None
        settings = self.training_settings
        partners = contrast(embeddings, step.labels, self.queue, scale=settings.contrast_scale)
        self._seen.append((embeddings.detach().chunk(2)[1], step.labels.chunk(2)[1]))
        classified = self._classified(embeddings, step.labels)
        return {"classifier": classified, "contrast": settings.contrast_weight * partners}

    def _classified(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the classifier's loss over the views of one class; 0 when there is none.

        It is a loss of the same parameters then: processes average gradients of all of them.
        """
        settings, has_class = self.training_settings, labels != NO_LABEL
        if not has_class.any():
            nothing: Tensor = self.classifier(embeddings).sum() * 0
            return nothing
        return margin_cross_entropy(
            self.classifier(embeddings[has_class]),
            labels[has_class],
            scale=settings.scale,
            margin=settings.margin,
            smoothing=settings.label_smoothing,
        )

    def after_step(self, step: Step) -> None:
        """Remember the gallery embeddings of the step, those of other processes too."""
        if len(self.queue.labels):
            embeddings, labels = map(self.compute.all_parts, zip(*self._seen, strict=True))
            self.queue.push(torch.cat(embeddings), torch.cat(labels))
        self._seen.clear()


class StudentFriendlyTask(GalleryTask):
    """The gallery network, its classifier and a student that follows it."""

    def __init__(
        self,
        network: GalleryNetwork,
        num_classes: int,
        training: GalleryTraining,
        compute: Compute,
        student: PlanNetwork,
    ) -> None:
        super().__init__(network, num_classes, training, compute)
        self.student = student

    def rate_share(self, parameter_name: str) -> float:
        if parameter_name.startswith("student."):
            return self.training_settings.student_rate_share
        return super().rate_share(parameter_name)

    def _losses_of(self, embeddings: Tensor, step: Step) -> dict[str, Tensor]:
        followed = self.student(step.views)
        weight = self.training_settings.student_weight * step.progress
        return {
            **super()._losses_of(embeddings, step),
            "student": FOLLOWING_WEIGHT * _distance(followed, embeddings.detach()),
            "to the student": weight * _distance(embeddings, followed.detach()),
        }


def _distance(embeddings: Tensor, aims: Tensor) -> Tensor:
    """Return the mean of 1 - cosine of unit embeddings float32 [N, D]."""
    return 1 - (embeddings * aims).sum(dim=1).mean()


def train_gallery_network(
    shape: GalleryShape,
    image_set: ImageSet,
    training: GalleryTraining,
    views: ViewMaker,
    execution: Execution,
    further: Sequence[ImageSet] = (),
    student: Plan | None = None,
) -> tuple[GalleryNetwork, Tensor]:
    """Return the trained network and its class directions float32 [C, D].

    Its batch norms are rebuilt on clean training images. Row c of the directions belongs to the
    c-th of the sorted training classes of ``image_set``. They are the classifier's, or mean
    directions where embeddings are whitened after training.

    Goes on from a checkpoint if there is one. ``views`` makes views of all images of ``image_set``,
    then of ``further``, whose training classes are learnt, too; its seed decides all that is drawn.
    A network of the plan ``student``, which reads images of the same size, learns along.

    Raises:
        BadData: fewer than two training classes have images of both roles.
        BadRun: the checkpoint is not of this network, or the loss is not finite.
        MissingLibrary: the network's published weights are wanted and not installed.
    """
    torch.manual_seed(views.recipe.seed)
    batches = PairBatches(image_set, training, views, execution.compute, further)
    network = GalleryNetwork(shape)
    if training.pretrained:
        network.load_pretrained()
    parts = network, batches.listed.num_labels, training, execution.compute
    task = (
        GalleryTask(*parts)
        if student is None
        else StudentFriendlyTask(*parts, PlanNetwork(student))
    )
    train(task, batches, training, execution)
    rebuild_batch_norms(network, clean_images(image_set))
    if training.whitening_power > 0:
        return _whitened(network, image_set, training.whitening_power)
    directions = task.classifier.weight.detach()[: batches.listed.num_classes]
    return network, functional.normalize(directions, dim=1)


def _whitened(
    network: GalleryNetwork, image_set: ImageSet, power: float
) -> tuple[GalleryNetwork, Tensor]:
    """Return the network with a whitening, and the mean direction of each training class then."""
    positions = image_set.select(split="train")
    images = image_set.images[positions]
    found = whitened(network, torch.from_numpy(embed_images(network, images)), power=power).eval()
    labels = torch.from_numpy(numbered_from_zero(image_set.labels[positions]))
    embeddings = torch.from_numpy(embed_images(found, images))
    return found, class_means(embeddings, labels, len(image_set.labels_in(positions)))
