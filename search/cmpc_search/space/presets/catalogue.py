"""The spaces by name; a new one is a `Space` in a file of its family and a row here. Naming them
builds none.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from cmpc_base.registry import Registry

if TYPE_CHECKING:
    from cmpc_search.space.base import Space

__all__ = ["SPACES", "load_space"]

SPACES: "Registry[Space]" = Registry(
    "space",
    {
        "elastic": "cmpc_search.space.presets.shufflenet:ELASTIC",
        "small": "cmpc_search.space.presets.shufflenet:SMALL",
        "spos": "cmpc_search.space.presets.shufflenet:SPOS",
    },
)


def load_space(
    name: str, *, embedding_dim: int | None = None, input_size_px: int | None = None
) -> "Space":
    """Return the space ``name``, with another embedding length or input size when given.

    Raises:
        UnknownName: no space is called ``name``.
    """
    space = SPACES.load(name)
    return replace(
        space,
        embedding_dim=space.embedding_dim if embedding_dim is None else embedding_dim,
        input_size_px=space.input_size_px if input_size_px is None else input_size_px,
    )
