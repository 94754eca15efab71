"""How fast does a gallery open and answer that is larger than memory, or half of it?

    python benchmarks/large_gallery.py /data/gallery-20m --rows 20_000_000

writes random directions as shards, unless the folder has them from an earlier run, and then says

    open        time and memory of `open_index(verify=False)`, the page cache without the shards
    first       a query of each k on that: what it reads comes from the disk
    again       further queries, the median; the shards are in the page cache as far as it can hold
    codes       the plane of codes that every query reads whole, over that time, beside what the
                disk and the memory of this machine do

A row of 128 dimensions takes 645 bytes on the disk (float32 and its codes): 20 million take 13 GB,
1 million 0.65 GB. Random directions are hardest: no query can leave much out.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from retrieval_truth import measured_bandwidth

from cmpc_kernels import IndexSettings, ShardedIndex, open_index

ROWS_PER_CHUNK = 100_000
NUM_AGAIN = 9
READ_BYTES = 1 << 24

Rows = npt.NDArray[np.float32]


def directions(num_rows: int, dimension: int, seed: int) -> Iterator[Rows]:
    """Yield rows of length 1, a chunk at a time: those of a chunk depend on its number alone."""
    for first in range(0, num_rows, ROWS_PER_CHUNK):
        rng = np.random.default_rng([seed, first])
        shape = (min(ROWS_PER_CHUNK, num_rows - first), dimension)
        row_ND = rng.standard_normal(shape, dtype=np.float32)
        yield row_ND / np.linalg.norm(row_ND, axis=1, keepdims=True)


def forget(paths: list[Path]) -> None:
    """Take files out of the page cache."""
    for path in paths:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def disk_gb_s(path: Path) -> float:
    """Return how fast a file is read from the disk, one piece after the other."""
    forget([path])
    buffer = bytearray(READ_BYTES)
    started = time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return path.stat().st_size / (time.perf_counter() - started) / 1e9


def resident_mb() -> dict[str, float]:
    """Return the memory of this process: its own, and pages of files that are mapped."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if "kB" in line}
    return {"own": kilobytes["RssAnon"] / 1e3, "mapped": kilobytes["RssFile"] / 1e3}


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def built(arguments: argparse.Namespace) -> float | None:
    """Write the gallery; return the seconds, or None where it was there."""
    if ShardedIndex.is_in(arguments.folder):
        return None
    settings = IndexSettings(metric=arguments.metric)
    return timed(
        lambda: ShardedIndex.build(
            arguments.folder,
            directions(arguments.rows, arguments.dimension, seed=0),
            settings,
            rows_per_shard=arguments.rows_per_shard,
        )
    )


def measured(arguments: argparse.Namespace) -> dict[str, object]:
    """Open the gallery and ask it."""
    paths = sorted(arguments.folder.glob("shard-*.index"))
    queries = next(directions(NUM_AGAIN + 1, arguments.dimension, seed=1))
    ShardedIndex.open(arguments.folder, verify=False).shards[0].search(queries[:1], 1)  # compiles
    forget(paths)
    before = resident_mb()
    started, started_cpu = time.perf_counter(), time.process_time()
    index = open_index(arguments.folder, verify=False)
    open_s, open_cpu_s = time.perf_counter() - started, time.process_time() - started_cpu
    opened = resident_mb()

    def ask(n: int) -> float:
        query_QD = queries[n : n + 1]
        return timed(lambda: index.search(query_QD, arguments.k, num_threads=arguments.threads))

    first_s, again_s = ask(0), statistics.median(map(ask, range(1, NUM_AGAIN + 1)))
    plane_gb = len(index) * -(-arguments.dimension // 8) * 4 / 1e9  # half a byte of each number
    return {
        "rows": len(index),
        "shards": len(paths),
        "gb": sum(path.stat().st_size for path in paths) / 1e9,
        "open_s": open_s,
        "open_cpu_s": open_cpu_s,
        "open_own_mb": opened["own"] - before["own"],
        "open_mapped_mb": opened["mapped"] - before["mapped"],
        "first_s": first_s,
        "again_s": again_s,
        "resident_mb": resident_mb(),
        "codes_gb": plane_gb,
        "codes_first_gb_s": plane_gb / first_s,
        "codes_again_gb_s": plane_gb / again_s,
        "disk_gb_s": disk_gb_s(paths[0]),
        "memory_read_gb_s": measured_bandwidth(arguments.threads)[1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--rows-per-shard", type=int, default=1_000_000)
    parser.add_argument("--metric", choices=["cosine", "ip", "l2"], default="cosine")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    build_s = built(arguments)
    print(json.dumps({"build_s": build_s} | measured(arguments), indent=2))


if __name__ == "__main__":
    main()
