"""Which query networks exist: architectures, search spaces, their presets and their exact MACs."""

from cmpc_search.space.base import Architecture, Choice, Space
from cmpc_search.space.presets import SPACES, load_space

__all__ = ["SPACES", "Architecture", "Choice", "Space", "load_space"]
