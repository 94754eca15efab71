"""How networks are trained, as a user sets it: for how long, and how fast at which step."""

import math

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "ComputeSettings",
    "FinalistTraining",
    "GalleryTraining",
    "PickTraining",
    "QueryTraining",
    "SupernetTraining",
    "Training",
]

WARM_UP_SHARE = 0.1
AVERAGED = "Share of the running average of weights kept a step; 0: none."


class ComputeSettings(BaseModel):
    """Where everything is computed; it decides no more of a result than rounding."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: str | None = Field(None, description="As torch names it; else the fastest here.")
    threads: int | None = Field(None, ge=1, le=1024, description="Processors to keep busy.")
    processes: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Most processes that train one network together, each an equal share of its "
        "micro_batches; else one a processor, at most 8, where a training is long enough.",
    )


class Training(BaseModel):
    """AdamW with a linear warm-up and a cosine decay to zero."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_steps: int = Field(ge=1, description="Updates in all.")
    learning_rate: float = Field(gt=0, le=1000, description="The greatest.")
    weight_decay: float = Field(ge=0, le=1000)
    micro_batches: int = Field(
        2,
        ge=1,
        le=1024,
        description="Parts of a batch, each with its own losses and batch-norm statistics; "
        "processes share them, so no more than these train one network.",
    )
    clip_norm: float | None = Field(None, gt=0, description="Longest gradient; else any.")
    ema_decay: float = Field(0.0, ge=0, lt=1, description=AVERAGED)

    def rate_at(self, step: int) -> float:
        """Return the learning rate at a step, from 0."""
        warm_up = max(1, round(self.num_steps * WARM_UP_SHARE))
        if step < warm_up:
            return self.learning_rate * (step + 1) / warm_up
        done = (step - warm_up) / max(1, self.num_steps - warm_up)
        return self.learning_rate * (1 + math.cos(math.pi * done)) / 2


class GalleryTraining(Training):
    """How the gallery network is trained."""

    num_steps: int = Field(4000, ge=1, description="Updates in all.")
    classes_per_batch: int = Field(24, ge=2, description="Classes in a batch, two images each.")
    learning_rate: float = Field(4e-3, gt=0, le=1000)
    weight_decay: float = Field(0.05, ge=0, le=1000)
    ema_decay: float = Field(0.998, ge=0, lt=1, description=AVERAGED)
    scale: float = Field(16.0, gt=0, le=1e6, description="Inverse temperature of the classifier.")
    margin: float = Field(0.1, ge=0, lt=1, description="CosFace margin of the classifier.")
    contrast_weight: float = Field(
        1.0, ge=0, le=1e6, description="Weight of the contrast between roles."
    )
    contrast_scale: float = Field(
        10.0, gt=0, le=1e6, description="Inverse temperature of the contrast."
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of the classifier's target that all classes have alike."
    )
    queue_size: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Gallery images of past batches that queries are contrasted with; it needs "
        "micro_batches = 1.",
    )
    instance_classes: bool = Field(
        True,
        description="Make a class of each image that has none, where the data have other styles.",
    )
    joined_share: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Share of the pairs of a batch that get a part of another pair on both sides.",
    )
    further_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Most of the pairs, about, that are of further data; the rest are of the data "
        "set itself.",
    )
    student_weight: float = Field(
        10.0,
        ge=0,
        le=1e6,
        description="Weight of the distance to the student, if one learns along; it rises from 0 "
        "at the first step to this at the last.",
    )
    student_rate_share: float = Field(
        7.5,
        gt=0,
        le=1e6,
        description="Learning rate of the student, as a share of that of the gallery network.",
    )
    pretrained: bool = Field(True, description="Start from published weights, if there are any.")
    backbone_rate_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Learning rate of published weights, as a share of that of fresh ones; "
        "0 freezes them.",
    )
    whitening_power: float = Field(
        0.0,
        ge=0,
        le=1,
        description="How far the variances of embeddings are made equal after training: "
        "1 is wholly, 0 not at all.",
    )

    @model_validator(mode="after")
    def _check_queue(self) -> "GalleryTraining":
        if self.queue_size and self.micro_batches != 1:
            raise ValueError(
                "a queue must see whole batches: set micro_batches = 1 beside queue_size, "
                f"got {self.micro_batches}"
            )
        return self


class QueryTraining(Training):
    """How a supernet or a query network is trained from the bank of views."""

    batch_size: int = Field(128, ge=2, description="Views in a batch.")
    views_per_item: int = Field(
        1, ge=1, description="Views of each image in a batch, for methods that compare them."
    )
    unmixed_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the steps, the last ones, without views of two images.",
    )
    # On validation classes, 2.2 MMAC kept 97 % of the gallery's top-1 with it, 87 % with 3e-3.
    learning_rate: float = Field(3e-2, gt=0, le=1000)
    weight_decay: float = Field(0.01, ge=0, le=1000)


class SupernetTraining(QueryTraining):
    """How the supernet is trained: long enough to tell architectures apart."""

    # On validation classes half as many order 16 architectures with a Kendall's tau of 0.60 to
    # trainings of their own, these with 0.72.
    num_steps: int = Field(3400, ge=1, description="Updates in all.")
    random_paths: int = Field(1, ge=1, le=64, description="Architectures drawn at each step.")
    sandwich: bool = Field(
        False,
        description="Train the largest and the smallest architecture at each step too, and let all "
        "others follow the largest.",
    )
    distillation_weight: float = Field(
        1.0, ge=0, le=1e6, description="Weight of following the largest architecture."
    )


class PickTraining(QueryTraining):
    """How a picked network is trained on its own."""

    num_steps: int = Field(3000, ge=1, description="Updates in all.")
    unmixed_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of the steps, the last ones, without views of two images.",
    )
    from_supernet: bool = Field(
        True, description="Start from its weights in the supernet, not from random ones."
    )


class FinalistTraining(PickTraining):
    """How each finalist is trained on its own: long enough to tell them apart."""

    num_steps: int = Field(150, ge=1, description="Updates in all.")
