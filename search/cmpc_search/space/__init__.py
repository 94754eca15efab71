"""Which query networks exist: architectures, search spaces, their presets and their exact MACs."""

from cmpc_search.space.architecture import Architecture
from cmpc_search.space.presets import SPACES, load_space
from cmpc_search.space.search_space import SearchSpace, Stage

__all__ = ["SPACES", "Architecture", "SearchSpace", "Stage", "load_space"]
