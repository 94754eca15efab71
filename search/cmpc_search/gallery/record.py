"""What gallery.json holds: checked whenever a gallery is opened.

Fields that only people read are not named here, and may be anything.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from cmpc_search.networks.gallery.base import Count, GalleryShape, SizePx
from cmpc_search.networks.gallery.efficientnet import EfficientNetShape
from cmpc_search.networks.gallery.residual import ResidualShape

__all__ = [
    "MOST_VIEWS_PER_ITEM",
    "SCHEMA_VERSION",
    "AnyShape",
    "DataUse",
    "GalleryRecord",
    "OnnxReading",
]

MOST_VIEWS_PER_ITEM = 64
AnyShape = ResidualShape | EfficientNetShape
SCHEMA_VERSION = 2

Number = Annotated[float, Field(allow_inf_nan=False)]
Colour = tuple[Number, Number, Number]


def _positive(values: Colour) -> Colour:
    if min(values) <= 0:
        raise ValueError(f"each must be above zero, got {values}")
    return values


class DataUse(BaseModel):
    """How the data were divided, and where they were."""

    data: str | None = None
    split_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


class OnnxReading(BaseModel):
    """How a user's own network reads an image in [0, 1], and which of its outputs embeds.

    Attributes:
        mean, std: Of red, green and blue, in units of [0, 1].
        scale: What normalised numbers are multiplied by: 255 where a network reads bytes.
        input_size_px: For a network that leaves it open.
        output: Name of the output, where there are several.
        pool: What makes an embedding of a map [N, D, h, w] or of tokens [N, T, D]: their mean, or
            the first token.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: Colour = (0.0, 0.0, 0.0)
    std: Annotated[Colour, AfterValidator(_positive)] = (1.0, 1.0, 1.0)
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    colour_order: Literal["RGB", "BGR"] = "RGB"
    input_size_px: SizePx | None = None
    output: str | None = None
    pool: Literal["mean", "first"] | None = None

    @property
    def is_normalising(self) -> bool:
        """Whether somebody said what numbers the network reads."""
        return bool(self.model_fields_set & {"mean", "std", "scale"})


class GalleryRecord(DataUse):
    """What a gallery is.

    Attributes:
        network: The shape of a network that cmpc trained, "onnx" for a user's own, or None.
        network_sha256: Hash of the network's file, or of ready embeddings where there is none.
        macs, parameters: Of the network, for one image.
        data_sha256: Hash of the data that it was trained on.
        training: How cmpc trained it, as the settings say; None where it did not.
        precision: In which type it was trained.
        reading: What was said of a user's own network; its graph does it.
        crop_share: Part of the shorter side of a picture that the network sees; None: all of it,
            padded.
        views_per_item: Of how many views of a gallery item its embedding is the mean.
        lowest_cosine: Of given embeddings to the network's own, where the two were compared.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    schema_version: int = SCHEMA_VERSION
    network: AnyShape | Literal["onnx"] | None
    network_sha256: str
    input_size_px: SizePx | None = None
    embedding_dim: Count
    macs: int | None = None
    parameters: int | None = None
    data_sha256: str | None = None
    training: dict[str, Any] | None = None
    precision: str | None = None
    lowest_cosine: float | None = None
    views_per_item: Annotated[int, Field(ge=1, le=MOST_VIEWS_PER_ITEM, strict=True)] = 1
    reading: OnnxReading | None = None
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
