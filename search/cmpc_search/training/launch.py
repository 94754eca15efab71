"""Processes that `torchrun` started, on one machine or several: the first leads, the others follow.

    torchrun --nproc-per-node 2 -m cmpc search ...

Each runs the same command. The first alone does it; for each training it leaves an order in
torchrun's store, which the others wait for, and all train together. The folders must be the same
for all. Who may reach the processes is torchrun's business and that of whoever starts it.
"""

import atexit
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import count
from typing import Any

from torch import distributed
from torch.distributed.rendezvous import rendezvous

from cmpc_search.errors import BadArgument
from cmpc_search.training.compute import Compute, here

__all__ = ["Launch", "Order", "Work", "launched", "process_group"]

Order = Mapping[str, Any]
"""What another process makes the same training from, as JSON values."""
Work = Callable[[Compute], object]
"""Trains where it is told to, once everything is loaded."""

MOST_SILENCE = timedelta(minutes=30)  # between two steps of a process: a checkpoint may be large
LONGEST_WAIT = timedelta(days=365)  # of those that follow, for the next training


class Launch:
    """This process's place among those that torchrun started."""

    def __init__(self) -> None:
        self._store, self.rank, self._world = next(iter(rendezvous("env://")))
        self._store.set_timeout(LONGEST_WAIT)
        self._numbers = count()
        if self.rank == 0:
            atexit.register(self._leave, None)

    @contextmanager
    def training(self, order: Order, num_parts: int) -> Iterator[Compute]:
        """Have the others join a training, and give the block where to train.

        Raises:
            BadArgument: a step has no micro-batches for all, or not as many for each.
        """
        if num_parts % self._world:
            raise BadArgument(
                f"micro_batches must be a multiple of the {self._world} processes that torchrun "
                f"started, got {num_parts}"
            )
        with self._joined(self._leave(order)) as share:
            yield share

    def follow(self, prepare: Callable[[Order], Work]) -> None:
        """Join all trainings that the first process orders, until it ends."""
        for number in self._numbers:
            order = json.loads(self._store.get(f"order {number}"))
            if order is None:
                return
            work = prepare(order)
            with self._joined(number) as share:
                work(share)

    def _leave(self, order: Order | None) -> int:
        number = next(self._numbers)
        self._store.set(f"order {number}", json.dumps(order))
        return number

    @contextmanager
    def _joined(self, number: int) -> Iterator[Compute]:
        share = replace(here(), rank=self.rank, world=self._world)
        store = distributed.PrefixStore(f"training {number}", self._store)  # type: ignore[attr-defined]
        with process_group(share, store):
            yield share


@cache
def launched() -> Launch | None:
    """Return this process's place if torchrun started it with others, else None."""
    return Launch() if int(os.environ.get("WORLD_SIZE", "1")) > 1 else None


@contextmanager
def process_group(
    share: Compute, store: Any, longest_join: timedelta = MOST_SILENCE
) -> Iterator[None]:
    """Be one of the processes that meet in ``store``, and leave them again.

    Args:
        longest_join: How long to wait for the others to come.

    Raises:
        RuntimeError: one did not come, or was lost later.
    """
    distributed.init_process_group(
        share.group_backend,
        store=store,
        rank=share.rank,
        world_size=share.world,
        timeout=longest_join,
    )
    try:
        distributed.distributed_c10d._set_pg_timeout(MOST_SILENCE)
        yield
    finally:
        distributed.destroy_process_group()
