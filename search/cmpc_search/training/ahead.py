"""Work done ahead by threads of one torch thread each, so that whoever wants results need not wait.

Torch lets go of Python's lock while it computes, so threads share the images and run together. What
is computed, and in which order it is given, does not depend on them. Where torch has one thread
there are none: they would take it from whoever waits.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice, product
from typing import TypeVar

from cmpc_search.compatibility.base import Step
from cmpc_search.training.compute import spare_threads, use_one_thread

__all__ = ["StepsAhead", "computed_ahead"]

Item = TypeVar("Item")
Result = TypeVar("Result")

RESULTS_PER_WORKER = 2  # ready or in the making, for each thread


def computed_ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield ``function`` of each of ``items`` in turn, some of them computed ahead."""
    num_workers = spare_threads()
    if not num_workers:
        yield from map(function, items)
        return
    waiting = iter(items)
    with _pool(num_workers) as pool:
        begun: deque[Future[Result]] = deque()
        try:
            while True:
                missing = num_workers * RESULTS_PER_WORKER - len(begun)
                begun.extend(pool.submit(function, item) for item in islice(waiting, missing))
                if not begun:
                    return
                yield begun.popleft().result()
        finally:  # the caller may have had enough
            for one in begun:
                one.cancel()


class StepsAhead:
    """Micro-batches that are asked for in turn, made before they are.

    Args:
        begin: Decides what is in a micro-batch of a step, and returns what makes it, in whatever
            thread.
        num_steps: How many steps there are.
        parts: Which micro-batches of a step are asked for.
    """

    def __init__(
        self, begin: Callable[[int, int], Callable[[], Step]], *, num_steps: int, parts: range
    ) -> None:
        self._begin, self._num_steps, self._parts = begin, num_steps, parts
        num_workers = spare_threads()
        self._pool = _pool(num_workers) if num_workers else None
        self._num_ahead = num_workers * RESULTS_PER_WORKER
        self._begun: dict[tuple[int, int], Future[Step]] = {}

    def at(self, number: int, part: int) -> Step:
        """Return a micro-batch of a step, and begin those that are likely to come next."""
        if self._pool is None:
            return self._begin(number, part)()
        wanted = [(number, part), *islice(self._after(number, part), self._num_ahead)]
        for key in [key for key in self._begun if key not in wanted]:
            self._begun.pop(key).cancel()
        for key in wanted:
            if key not in self._begun:
                self._begun[key] = self._pool.submit(self._begin(*key))
        return self._begun.pop((number, part)).result()

    def _after(self, number: int, part: int) -> Iterator[tuple[int, int]]:
        rest = ((number, other) for other in self._parts if other > part)
        return chain(rest, product(range(number + 1, self._num_steps), self._parts))


def _pool(num_workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(num_workers, initializer=use_one_thread)
