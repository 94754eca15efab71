"""Draw architectures by their MACs: each order of magnitude of them as often as any other.

A sum of twenty choices keeps to its mean. Drawn choice by choice, cheap and dear architectures are
rare: a supernet hardly trains them, and a search hardly sees them. So a range of MACs is drawn
first, of equal ratio all (the released code of Guo et al., ECCV 2020, draws within ranges of FLOPs
too), and then an architecture within it.
"""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from cmpc_search.space.base import Architecture, Space

__all__ = ["MacBins", "MacRange", "walk"]

NUM_BINS = 8
NUM_SAMPLES = 200
NUM_WALKS, WALK_STEPS = 16, 12  # to where samples are rare
STEPS = 5  # from a known architecture to one that is drawn


@dataclass(frozen=True, slots=True)
class MacRange:
    """MACs from ``low`` to ``high``, both within it."""

    low: float = 0.0
    high: float = math.inf

    def distance(self, macs: int) -> float:
        """Return by how much ``macs`` are outside; all that are within are alike."""
        return max(self.low - macs, macs - self.high, 0)


def walk(
    space: Space, rng: random.Random, wanted: MacRange, here: Architecture
) -> Iterator[Architecture]:
    """Change one block at a time, at random, but never to be farther from what is wanted.

    Chance alone doesn't meet a tight budget: the smallest of 4000 draws from the SPOS space has 190
    MMACs, its smallest network 94.
    """
    distance = wanted.distance(space.macs(here))
    while True:
        yield here
        there = space.changed(here, rng)
        if (there_distance := wanted.distance(space.macs(there))) <= distance:
            here, distance = there, there_distance


class MacBins:
    """Ranges of equal ratio, from the smallest network to the largest or to a budget.

    Of each it knows some architectures; one that is drawn is a few steps of a walk away from one of
    them. In a space of few architectures there may be ranges without any: those are left out.

    Attributes:
        smallest, largest: The architectures at both ends; the largest is as wide and deep as the
            budget lets it be, though another of smaller layers may be nearer to the budget.
    """

    def __init__(
        self, space: Space, max_macs: int | None = None, *, num_bins: int = NUM_BINS
    ) -> None:
        self._space, rng = space, random.Random(0)
        self.smallest, self.largest = space.smallest(), space.largest(max_macs)
        low, most = space.macs(self.smallest), space.macs(space.largest())
        high = most if max_macs is None else min(most, max(low, max_macs))
        edges = [low * (high / low) ** (at / num_bins) for at in range(num_bins)]
        samples = (space.sample(rng) for _ in range(NUM_SAMPLES))
        drawn = {one: space.macs(one) for one in (self.smallest, self.largest, *samples)}
        found = [
            (wanted, self._known(wanted, rng, drawn))
            for wanted in map(MacRange, edges, [*edges[1:], high])
        ]
        self._known_in = {wanted: known for wanted, known in found if known}

    @property
    def ranges(self) -> tuple[MacRange, ...]:
        """The ranges in which there are architectures, from the cheapest on."""
        return tuple(self._known_in)

    def draw(self, rng: random.Random, wanted: MacRange | None = None) -> Architecture:
        """Draw one of the ranges, if none is given, and an architecture within it."""
        wanted = wanted or rng.choice(self.ranges)
        start = rng.choice(self._known_in[wanted])
        return self._walked(wanted, rng, start, STEPS)

    def _known(
        self, wanted: MacRange, rng: random.Random, drawn: Mapping[Architecture, int]
    ) -> list[Architecture]:
        """Return what was drawn within a range, and where walks from the nearest end in it."""
        nearest = sorted(drawn, key=lambda one: wanted.distance(drawn[one]))[:NUM_WALKS]
        ends = (self._walked(wanted, rng, one, WALK_STEPS) for one in nearest)
        within = [one for one, macs in drawn.items() if not wanted.distance(macs)]
        return within + [one for one in ends if not wanted.distance(self._space.macs(one))]

    def _walked(
        self, wanted: MacRange, rng: random.Random, start: Architecture, num_steps: int
    ) -> Architecture:
        return next(islice(walk(self._space, rng, wanted, start), num_steps, None))
