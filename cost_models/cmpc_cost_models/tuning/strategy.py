"""Which schedules of a workload are measured next?

First the rule's, and what similar workloads found. Then each batch is half the neighbours of the
best ones so far (one choice changed, or two of them crossed) and half new ones, the likely ones
sooner, as the space lists them. A space no larger than the budget is simply tried whole.

MetaSchedule's evolutionary search (Shao et al., NeurIPS 2022) with the space written out: there is
no trace to mutate and no cost model to train, since a trial costs a tenth of a second.
"""

import dataclasses
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from cmpc_cost_models.schedules.rules import is_valid, schedule_space
from cmpc_cost_models.schedules.schedule import Schedule
from cmpc_cost_models.schedules.workload import Workload

__all__ = ["SearchStrategy"]

NUM_PARENTS = 4
NEW_SHARE = 0.5
FIELDS = tuple(field.name for field in dataclasses.fields(Schedule))


class SearchStrategy:
    """Proposes schedules of one workload.

    Args:
        first: Measured before all others, after the rule's.
        rng: Draws; the same generator and the same times propose the same.
    """

    def __init__(
        self, workload: Workload, *, first: Sequence[Schedule], rng: random.Random
    ) -> None:
        self._workload = workload
        self._space = tuple(schedule_space(workload))
        self._first = (self._space[0], *first)
        self._values = {
            name: sorted({getattr(one, name) for one in self._space}) for name in FIELDS
        }
        self._rng = rng

    @property
    def rule(self) -> Schedule:
        return self._space[0]

    def propose(self, count: int, times_us: Mapping[Schedule, float | None]) -> list[Schedule]:
        """Return up to ``count`` schedules that were not tried; none if all were.

        Args:
            times_us: What was tried, with its time; ``None`` where it failed.
        """
        chosen: dict[Schedule, None] = {}

        def take(proposals: Iterator[Schedule], most: int) -> None:
            fresh = (one for one in proposals if one not in times_us and one not in chosen)
            chosen.update(dict.fromkeys(islice(fresh, max(0, most - len(chosen)))))

        take(iter(self._first), count)
        timed = [(time, one) for one, time in times_us.items() if time is not None]
        parents = [one for _, one in sorted(timed, key=lambda pair: pair[0])[:NUM_PARENTS]]
        if len(self._space) > count and parents:
            take(self._children(parents), round(count * (1 - NEW_SHARE)))
        take(self._likely(), count)
        take(self._children(parents), count)
        return list(chosen)

    def _likely(self) -> Iterator[Schedule]:
        """Yield the space in an order that is random and keeps the likely ones rather early."""
        spread = len(self._space) / 4
        ranks = (
            (rank + self._rng.expovariate(1) * spread, rank) for rank in range(len(self._space))
        )
        for _, rank in sorted(ranks):
            yield self._space[rank]

    def _children(self, parents: Sequence[Schedule]) -> Iterator[Schedule]:
        """Yield valid neighbours of the parents and crosses of them, in random order."""
        children = {child: None for parent in parents for child in self._neighbours(parent)}
        for mother in parents:
            for father in parents:
                genes = {name: getattr(self._rng.choice((mother, father)), name) for name in FIELDS}
                children[Schedule(**genes)] = None
        shuffled = list(children)
        self._rng.shuffle(shuffled)
        return (one for one in shuffled if is_valid(one, self._workload))

    def _neighbours(self, parent: Schedule) -> Iterator[Schedule]:
        """Yield schedules with one choice changed to the next value that the space knows."""
        for name in FIELDS:
            values: list[Any] = self._values[name]
            value = getattr(parent, name)
            below = [one for one in values if one < value][-1:]
            above = [one for one in values if one > value][:1]
            for other in below + above:
                yield dataclasses.replace(parent, **{name: other})
