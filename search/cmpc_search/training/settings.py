"""How networks are trained, as a user sets it."""

from pydantic import BaseModel, ConfigDict, Field

from cmpc_search.training.schedule import Schedule

__all__ = ["GalleryTraining", "PickTraining", "QueryTraining", "SupernetTraining"]


class _Training(BaseModel):
    """What every training is told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_steps: int = Field(ge=1, description="Updates in all.")
    learning_rate: float = Field(gt=0, le=1000)
    weight_decay: float = Field(ge=0, le=1000)

    @property
    def schedule(self) -> Schedule:
        return Schedule(
            num_steps=self.num_steps,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
        )


class GalleryTraining(_Training):
    """How the gallery network is trained."""

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


class QueryTraining(_Training):
    """How a supernet or a query network is trained from the bank of views."""

    batch_size: int = Field(128, ge=2, description="Views in a batch.")
    learning_rate: float = Field(3e-3, gt=0, le=1000)
    weight_decay: float = Field(0.01, ge=0, le=1000)


class SupernetTraining(QueryTraining):
    """How the supernet is trained: long enough to tell architectures apart."""

    num_steps: int = Field(1700, ge=1, description="Updates in all.")


class PickTraining(QueryTraining):
    """How a picked network is trained on its own."""

    num_steps: int = Field(2200, ge=1, description="Updates in all.")
