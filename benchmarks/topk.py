"""Is our exact top-k as fast as FAISS's flat index? Both run in turns, in one process.

    OMP_WAIT_POLICY=passive OPENBLAS_NUM_THREADS=1 python benchmarks/topk.py

Each round times both once in random order, so a slow moment of the machine hits both. A line
gives the medians over the rounds, the spread (half the distance between the quartiles) and the
median of the rounds' ratios, ours / FAISS: below 1 we are faster. The answers are compared first.
FAISS scans for fewer than 20 queries and multiplies matrices for more; OpenBLAS, which does that,
keeps threads of its own, hence the second variable. Passive waiting keeps the two thread pools
from spinning against each other.
"""

import argparse
import os
import platform
import random
import sys
import time
from collections.abc import Callable

import faiss
import numba
import numpy as np

from cmpc_kernels import GalleryIndex

DIMENSION = 128
NUM_KEPT = 10
NUM_ITEMS = (10_000, 100_000)
NUM_QUERIES = (1, 16, 256)
FAISS_INDEX = {"ip": faiss.IndexFlatIP, "l2": faiss.IndexFlatL2}


def main() -> None:
    """Print one table for each metric."""
    parser = argparse.ArgumentParser(description="Time cmpc_kernels against FAISS flat, in turns.")
    parser.add_argument("--rounds", type=int, default=31, help="rounds for each line [31]")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="threads [1 2]")
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs,", end=" ")
    print(f"load {os.getloadavg()[0]:.1f}, Python {platform.python_version()},", end=" ")
    print(f"FAISS {faiss.__version__} ({faiss.get_compile_options().strip()}),", end=" ")
    print(f"Numba {numba.__version__}; {DIMENSION} dimensions, k = {NUM_KEPT}, float32")
    for metric in FAISS_INDEX:
        print(f"\n{metric:<4}{'items':>8}{'queries':>9}{'threads':>9}", end="")
        print(f"{'ours ms':>18}{'FAISS ms':>18}{'ratio':>8}")
        for num_items in NUM_ITEMS:
            time_gallery(metric, num_items, arguments.threads, arguments.rounds)


def time_gallery(metric: str, num_items: int, threads: list[int], num_rounds: int) -> None:
    """Print the lines of one gallery."""
    rng = np.random.default_rng(0)
    gallery = rng.standard_normal((num_items, DIMENSION), dtype=np.float32)
    ours = GalleryIndex.build(gallery, metric)
    theirs = FAISS_INDEX[metric](DIMENSION)
    theirs.add(gallery)
    for num_queries in NUM_QUERIES:
        queries = rng.standard_normal((num_queries, DIMENSION), dtype=np.float32)
        if not agree(ours.search(queries, NUM_KEPT).scores, theirs.search(queries, NUM_KEPT)[0]):
            sys.exit(f"the two answers differ: {metric}, {num_items} items, {num_queries} queries")
        for num_threads in threads:
            faiss.omp_set_num_threads(num_threads)
            time_ms = in_turns(
                lambda queries=queries, n=num_threads: ours.search(
                    queries, NUM_KEPT, num_threads=n
                ),
                lambda queries=queries: theirs.search(queries, NUM_KEPT),
                num_rounds,
            )
            print(f"{'':<4}{num_items:>8}{num_queries:>9}{num_threads:>9}", end="")
            print(f"{summary(time_ms[0]):>18}{summary(time_ms[1]):>18}", end="")
            print(f"{np.median(time_ms[0] / time_ms[1]):>8.2f}", flush=True)


def in_turns(
    ours: Callable[[], object], theirs: Callable[[], object], num_rounds: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return milliseconds [2, rounds]; both have run before, so nothing is compiled here."""
    time_ms = np.empty((2, num_rounds))
    for n in range(num_rounds):
        for row, search in random.sample(list(enumerate((ours, theirs))), 2):
            start = time.perf_counter()
            search()
            time_ms[row, n] = 1000 * (time.perf_counter() - start)
    return time_ms


def agree(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Compare scores, not ids: rounding may swap two items that are nearly as near."""
    return np.allclose(ours, theirs, rtol=1e-4, atol=1e-3)


def summary(time_ms: np.ndarray) -> str:
    """Return the median and half the interquartile range."""
    quarter, half, three_quarters = np.percentile(time_ms, [25, 50, 75])
    return f"{half:.2f} ± {(three_quarters - quarter) / 2:.2f}"


if __name__ == "__main__":
    main()
