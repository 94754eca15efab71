"""Architectures spread over the arithmetic of a space, each order of magnitude alike."""

import random
from itertools import cycle, islice

from cmpc_search.space.base import Architecture, Space
from cmpc_search.space.drawing import MacBins

__all__ = ["spread_architectures"]

DRAWS = 20  # for each architecture: what was drawn already is drawn again


def spread_architectures(
    space: Space, count: int, *, max_macs: int | None = None, seed: int = 0
) -> tuple[Architecture, ...]:
    """Return up to ``count`` architectures, cheapest first: one in each of as many ranges of MACs.

    The ranges are of equal ratio, from the smallest network to the largest or to ``max_macs``. One
    in which there is none leaves its turn to the others; a small space gives what it has.
    """
    rng = random.Random(seed)
    chosen: dict[str, Architecture] = {}
    bins = MacBins(space, max_macs, num_bins=count)
    for wanted in islice(cycle(bins.ranges), DRAWS * count):
        if len(chosen) < count:
            found = bins.draw(rng, wanted)
            chosen[found.key] = found
    return tuple(sorted(chosen.values(), key=space.macs))
