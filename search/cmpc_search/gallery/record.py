"""What gallery.json holds: checked whenever a gallery is opened.

Fields that only people read are not named here, and may be anything.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cmpc_search.networks.gallery.base import Count, GalleryShape, SizePx
from cmpc_search.networks.gallery.efficientnet import EfficientNetShape
from cmpc_search.networks.gallery.residual import ResidualShape

__all__ = ["SCHEMA_VERSION", "DataUse", "GalleryRecord"]

SCHEMA_VERSION = 2


class DataUse(BaseModel):
    """How the data were divided, and where they were."""

    data: str | None = None
    split_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


class GalleryRecord(DataUse):
    """What a gallery is.

    Attributes:
        network: The shape of a network that cmpc trained, "onnx" for a user's own, or None.
        network_sha256: Hash of the network's file, or of ready embeddings where there is none.
        macs, parameters: Of the network, for one image.
        data_sha256: Hash of the data that it was trained on.
        training: How cmpc trained it, as the settings say; None where it did not.
        precision: In which type it was trained.
        crop_share: Part of the shorter side of a picture that the network sees; None: all of it,
            padded.
        lowest_cosine: Of given embeddings to the network's own, where the two were compared.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    schema_version: int = SCHEMA_VERSION
    network: ResidualShape | EfficientNetShape | Literal["onnx"] | None
    network_sha256: str
    input_size_px: SizePx | None = None
    embedding_dim: Count
    macs: int | None = None
    parameters: int | None = None
    data_sha256: str | None = None
    training: dict[str, Any] | None = None
    precision: str | None = None
    lowest_cosine: float | None = None
    crop_share: Annotated[float, Field(gt=0, le=1)] | None = None

    @field_validator("training")
    @classmethod
    def _check_training(cls, training: dict[str, Any] | None) -> dict[str, Any] | None:
        if training is not None:
            DataUse.model_validate(training)
        return training

    @model_validator(mode="after")
    def _check_sizes(self) -> "GalleryRecord":
        if self.network is not None and self.input_size_px is None:
            raise ValueError("a network must have an input_size_px")
        if isinstance(self.network, GalleryShape):
            shape = (self.network.input_size_px, self.network.embedding_dim)
            if shape != (self.input_size_px, self.embedding_dim):
                raise ValueError("sizes must be those of the network")
        return self

    @property
    def made_with(self) -> DataUse:
        """The data that the gallery was made with: those of its training, if there was one."""
        return DataUse.model_validate(self.training) if self.training else self

    def to_json(self) -> dict[str, Any]:
        """Return what was said of the gallery, as JSON values."""
        return self.model_dump(mode="json", exclude_unset=True)
