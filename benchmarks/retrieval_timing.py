"""How libraries are timed against each other: in turns, in one process, the caches warm.

A round lets each library, in random order, search the same queries, so a slow moment of the machine
hits all. A turn is one search to warm the caches, unless it is slow, then searches for at least
20 ms, whose median counts. OpenMP's threads spin for some milliseconds after their work and would
take the processors from the next library: between turns there is time for them to fall asleep.
"""

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from retrieval_engines import Built
from retrieval_truth import measured_bandwidth

__all__ = [
    "Effort",
    "Timing",
    "batches_of",
    "in_turns",
    "limit_threads",
    "scan_against_memory",
    "spread",
]

TURN_S = 0.02
SLEEP_S = 0.03
WARM_UP_S = 0.1  # what takes longer than this needs no warm caches
MAX_FIRST_S = 0.5  # beyond this a first search tells enough
MIN_ROUNDS, MIN_SLOW_ROUNDS = 5, 3

Rows = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Effort:
    """At most so many rounds, in about so many seconds."""

    num_rounds: int
    budget_s: float


@dataclass(kw_only=True)
class Timing:
    """One library at one number of queries, neighbours and threads."""

    ms: list[float] = field(default_factory=list)
    error: str | None = None

    def ratios_to(self, base: "Timing") -> list[float]:
        """Return this one's time over the base's, round by round."""
        if len(self.ms) == 1:  # too slow for rounds
            return [self.ms[0] / statistics.median(base.ms)]
        return [mine / other for mine, other in zip(self.ms, base.ms, strict=False)]


def limit_threads(num_threads: int) -> None:
    """Set the threads of all OpenMP and BLAS pools of the process; others take an argument."""
    import threadpoolctl

    threadpoolctl.threadpool_limits(num_threads)
    try:
        import faiss
    except ImportError:
        return
    faiss.omp_set_num_threads(num_threads)


def batches_of(queries: Rows, num_queries: int) -> list[Rows]:
    """Cut the queries into batches; each round takes the next one."""
    starts = range(0, len(queries) - num_queries + 1, num_queries)
    return [queries[start : start + num_queries] for start in starts]


def in_turns(
    engines: dict[str, Built],
    batches: list[Rows],
    shape: tuple[int, int, int],
    effort: Effort,
) -> dict[str, Timing]:
    """Time all libraries round by round; ``shape`` is (queries, k, threads)."""
    _, k, num_threads = shape
    timings = {name: Timing() for name in engines}
    once_s = {}
    for name, engine in engines.items():
        try:
            once_s[name] = first_search_s(
                lambda e=engine: e.search(batches[-1], k, num_threads), compiles=engine.compiles
            )
        except Exception as error:  # a rival's failure is a result of the table
            timings[name].error = f"{type(error).__name__}: {error}"[:80]
    for name in [name for name, s in once_s.items() if s > effort.budget_s]:
        timings[name].ms = [1000 * once_s.pop(name)]
    # What takes a large part of the line's time alone is timed in the first rounds only.
    turn_s = {name: SLEEP_S + max(1.5 * TURN_S, s) for name, s in once_s.items()}
    slow = {name for name, s in turn_s.items() if s > effort.budget_s / 8}
    fast_s = sum(s for name, s in turn_s.items() if name not in slow) or TURN_S
    num_rounds = int(min(effort.num_rounds, max(MIN_ROUNDS, effort.budget_s / fast_s)))
    for n in range(num_rounds):
        queries = batches[n % len(batches)]
        for name in random.sample(list(once_s), len(once_s)):
            if name in slow and n >= MIN_SLOW_ROUNDS:
                continue
            search = engines[name].search
            turn = one_turn(lambda s=search, q=queries: s(q, k, num_threads), once_s[name])
            timings[name].ms.append(1000 * turn)
    return timings


def first_search_s(search: Callable[[], object], *, compiles: bool = True) -> float:
    """Return the seconds of a search, of a second one where the first compiled or was not slow."""
    first_s = seconds_of(search)
    return first_s if first_s > MAX_FIRST_S and not compiles else seconds_of(search)


def one_turn(search: Callable[[], object], once_s: float) -> float:
    """Return the median seconds of a turn's searches."""
    time.sleep(SLEEP_S)
    if once_s < WARM_UP_S:
        search()
    return statistics.median(
        seconds_of(search) for _ in range(max(1, min(200, int(TURN_S / once_s))))
    )


def seconds_of(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def spread(values: list[float], digits: int) -> str:
    """Return the median and the quartiles."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    digits = max(0, digits - max(0, int(np.log10(max(middle, 1e-9)))))
    return f"{middle:.{digits}f} ({low:.{digits}f} {high:.{digits}f})"


def scan_against_memory(
    engines: dict[str, Built], queries: Rows, num_threads: int
) -> dict[str, list[float]]:
    """Return GB/s of one query's scan, by engine, and of copying and reading memory, in turns."""
    limit_threads(num_threads)
    scans = {name: built for name, built in engines.items() if built.scanned_bytes}
    found: dict[str, list[float]] = {name: [] for name in ("copy", "read", *scans)}
    for n in range(9):
        copied, read = measured_bandwidth(num_threads)
        found["copy"].append(copied)
        found["read"].append(read)
        for name, built in scans.items():

            def search(built: Built = built, query: Rows = queries[n : n + 1]) -> object:
                return built.search(query, 10, num_threads)

            turn = one_turn(search, first_search_s(search))
            found[name].append((built.scanned_bytes or 0) / turn / 1e9)
    return found
