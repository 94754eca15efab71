"""What is the right answer, and how fast is this machine's memory? No kernel of ours is asked."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["exact_ids", "measured_bandwidth"]

MARGIN = 16  # candidates beyond k: float64 products may err by some 1e-16, never by this many ranks
COPY_BYTES = 1 << 28


def exact_ids(
    rows: npt.NDArray[np.float32], queries: npt.NDArray[np.float32], k: int
) -> npt.NDArray[np.int64]:
    """Return the ids [Q, k] of a float64 brute force; equal scores by the lower id.

    The products of two float32 are exact in float64. Matrix multiplication picks k + 16 candidates;
    these are summed again in extended precision, each pair in the same order of additions, so that
    equal rows have equal scores.
    """
    k = min(k, len(rows))
    num_candidates = min(k + MARGIN, len(rows))
    found = np.empty((len(queries), k), np.int64)
    step = 1 << 16
    wide_queries = queries.astype(np.float64)
    best = np.full((len(queries), num_candidates), -np.inf)
    ids = np.zeros((len(queries), num_candidates), np.int64)
    for start in range(0, len(rows), step):
        score = wide_queries @ rows[start : start + step].astype(np.float64).T
        score = np.concatenate([best, score], axis=1)
        item = np.arange(start, start + score.shape[1] - num_candidates)
        item = np.concatenate([ids, np.broadcast_to(item, (len(queries), len(item)))], axis=1)
        keep = np.argpartition(score, -num_candidates, axis=1)[:, -num_candidates:]
        best, ids = np.take_along_axis(score, keep, 1), np.take_along_axis(item, keep, 1)
    for q, query in enumerate(queries.astype(np.longdouble)):
        score = (rows[ids[q]].astype(np.longdouble) * query).sum(axis=1)
        found[q] = ids[q][np.lexsort((ids[q], -score))][:k]
    return found


def measured_bandwidth(num_threads: int) -> tuple[float, float]:
    """Return GB/s of copying (bytes read plus bytes written) and of reading 256 MiB."""
    source, target = _buffers()
    cuts = [len(source) * part // num_threads for part in range(num_threads + 1)]
    parts = [slice(start, stop) for start, stop in pairwise(cuts)]
    seconds = []
    with ThreadPoolExecutor(num_threads) as pool:
        list(pool.map(lambda _: time.sleep(0.001), parts))  # its threads start here
        for work in (lambda part: np.copyto(target[part], source[part]), _read(source)):
            started = time.perf_counter()
            list(pool.map(work, parts)) if num_threads > 1 else work(parts[0])
            seconds.append(time.perf_counter() - started)
    return 2 * COPY_BYTES / seconds[0] / 1e9, COPY_BYTES / seconds[1] / 1e9


def _read(source: npt.NDArray[np.float64]) -> Callable[[slice], object]:
    return lambda part: add_all(source[part])


@cache
def _buffers() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return two arrays whose pages exist."""
    source, target = np.ones(COPY_BYTES // 8), np.zeros(COPY_BYTES // 8)
    np.copyto(target, source)
    add_all(source)  # compiles
    return source, target


@njit(nogil=True, fastmath=True, cache=True)
def add_all(source):  # type: ignore[no-untyped-def]
    total = 0.0
    for n in range(len(source)):
        total += source[n]
    return total
