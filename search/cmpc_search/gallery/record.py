"""What gallery.json must hold: checked once, when a gallery is opened.

Fields that only people read are not named here, and may be anything.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from cmpc_search.errors import BadGallery
from cmpc_search.json_records import parsed_record

__all__ = ["check_record"]

SizePx = Annotated[int, Field(ge=1, le=16_384, strict=True)]
Count = Annotated[int, Field(ge=1, le=1_000_000, strict=True)]


class _Shape(BaseModel):
    """A residual network that cmpc trained; see `cmpc_search.networks.gallery.ResidualShape`."""

    name: str
    input_size_px: SizePx
    depths: Annotated[tuple[Annotated[int, Field(ge=1, le=1000)], ...], Field(min_length=1)]
    width: Count
    is_bottleneck: bool = False
    has_large_stem: bool = False
    stem_stride: Annotated[int, Field(ge=1, le=16)] = 2
    has_layout_head: bool = False
    embedding_dim: Count


class _Use(BaseModel):
    """How the data were divided, and where they were."""

    data: str | None = None
    split_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


class _Record(_Use):
    network: _Shape | Literal["onnx"] | None
    network_sha256: str
    input_size_px: SizePx | None = None
    embedding_dim: Count
    macs: int | None = None
    parameters: int | None = None
    data_sha256: str | None = None
    training: _Use | None = None

    @model_validator(mode="after")
    def _check_sizes(self) -> "_Record":
        if self.network is not None and self.input_size_px is None:
            raise ValueError("a network must have an input_size_px")
        if isinstance(self.network, _Shape):
            shape = (self.network.input_size_px, self.network.embedding_dim)
            if shape != (self.input_size_px, self.embedding_dim):
                raise ValueError("sizes must be those of the network")
        return self


def check_record(path: Path, record: dict[str, Any]) -> None:
    """Raise if ``record`` is not what a gallery of this version keeps in ``path``.

    Raises:
        BadGallery: a field is missing, or of another kind.
    """
    advice = "train or import the gallery again"
    parsed_record(record, _Record, path, error=BadGallery, advice=advice)
