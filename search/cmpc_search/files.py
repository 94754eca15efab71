"""Write a file so that nobody ever reads half of it; the writer itself is that of all of cmpc."""

from cmpc_cost_models.files import replacing

__all__ = ["replacing"]
