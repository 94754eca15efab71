"""The spaces that cmpc ships, by name. A new one is a new entry here."""

from dataclasses import replace

from cmpc_base.errors import UnknownName
from cmpc_search.space.search_space import SearchSpace, Stage

__all__ = ["SPACES", "load_space"]

# SPOS as published (Guo et al., ECCV 2020, table 1): 20 blocks, 224 px. The channel choice is that
# of its released block-and-channel network, factors 0.2 to 1.6.
_SPOS = SearchSpace(
    name="spos",
    input_size_px=224,
    stem_channels=16,
    stem_stride=2,
    stages=(Stage(64, 4), Stage(160, 4), Stage(320, 8), Stage(640, 4)),
    head_channels=1024,
    embedding_dim=128,
    width_choices=(0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6),
)

# The same shape for small images: 8 blocks at 32 px. The map is halved late and the stem is narrow,
# since at this size detail is what there is and full resolution is what costs.
_SMALL = SearchSpace(
    name="small",
    input_size_px=32,
    stem_channels=8,
    stem_stride=1,
    stages=(Stage(24, 2), Stage(64, 3), Stage(128, 3)),
    head_channels=192,
    embedding_dim=128,
    has_layout_head=True,
    width_choices=(0.2, 0.4, 0.6, 0.8, 1.0, 1.2),
)

SPACES = {space.name: space for space in (_SPOS, _SMALL)}


def load_space(
    name: str, *, embedding_dim: int | None = None, input_size_px: int | None = None
) -> SearchSpace:
    """Return the preset ``name``, with another embedding length or input size when given.

    Raises:
        UnknownName: no preset is called ``name``.
    """
    if name not in SPACES:
        raise UnknownName.among(SPACES, "space", name)
    space = SPACES[name]
    return replace(
        space,
        embedding_dim=space.embedding_dim if embedding_dim is None else embedding_dim,
        input_size_px=space.input_size_px if input_size_px is None else input_size_px,
    )
