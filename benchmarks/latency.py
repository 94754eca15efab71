"""Are compiled networks as fast as ONNX Runtime's? Both run in turns, in one process.

    python benchmarks/latency.py                     # all networks, 1 thread and 2
    python benchmarks/latency.py --compile-only      # fill the cache; then the above only times

Each round times one block of every network with both runtimes, in random order, so a slow moment
of the machine hits both; a block begins with a run that isn't timed. A line gives the medians over
the rounds, the median of the rounds' ratios, ours / ONNX Runtime (below 1 we are faster), and that
ratio's quartiles. The answers are compared first. Each number of threads has a process of its own:
the pools are made at start. After a block idle threads spin, waiting for more, and would take the
other's core: TVM's spin for a tenth of a second as it comes and for a few milliseconds here, and
the rest between blocks is longer than that and than ONNX Runtime's.
"""

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from networks import write_drawn_networks, write_published_networks

from cmpc_base.cache import users_cache
from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.schedules.schedule import ScheduleSource
from cmpc_cost_models.sites.loaded import LoadedNetwork
from cmpc_cost_models.targets.machine import describe_machine, describe_versions
from cmpc_cost_models.targets.table import find_target

BLOCK_MS = 10.0
REST_SECONDS = 0.015
TVM_SPINS = "5000"  # of its 300,000: far longer than from one kernel to the next
LARGEST_DIFFERENCE = 1e-4  # of the largest value: another order of the sums
Run = Callable[[int], float]  # number of runs -> milliseconds of one


def main() -> None:
    """Print a table for each number of threads, or one JSON document."""
    arguments = _arguments()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.worker:
        json.dump(_time_networks(arguments), sys.stdout)
        return
    paths = _write_networks(folder)
    names = [one for one in paths if not arguments.quick or not one.endswith(tuple("234567"))]
    names = arguments.networks or names
    report = {str(one): _ask_worker(arguments, names, one) for one in arguments.threads}
    document = {
        "schema_version": 1,
        "machine": describe_machine(),
        "versions": describe_versions(),
        "threads": report,
    }
    if arguments.json:
        print(json.dumps(document, indent=2, sort_keys=True))
    elif not arguments.compile_only:
        for num_threads, rows in report.items():
            _print_table(num_threads, rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time compiled networks against ONNX Runtime.")
    cache = users_cache()
    parser.add_argument("--folder", type=Path, default=cache.benchmarks, help="networks, cache")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="threads [1 2]")
    parser.add_argument("--rounds", type=int, default=31, help="rounds [31]")
    parser.add_argument("--networks", nargs="+", help="only these")
    parser.add_argument("--quick", action="store_true", help="two networks of each of our spaces")
    parser.add_argument("--schedules", type=Path, help="folder of a schedule database [rules only]")
    parser.add_argument("--compile-only", action="store_true", help="compile and verify, no timing")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _write_networks(folder: Path) -> dict[str, Path]:
    return write_published_networks(folder) | write_drawn_networks(folder)


def _ask_worker(
    arguments: argparse.Namespace, names: list[str], num_threads: int
) -> list[dict[str, Any]]:
    """Run this file once more, in a process whose pools have ``num_threads``."""
    threads = str(num_threads)
    command = [sys.executable, __file__, "--worker", "--threads", threads, "--networks", *names]
    command += ["--rounds", str(arguments.rounds), "--folder", str(arguments.folder)]
    command += ["--compile-only"] if arguments.compile_only else []
    command += ["--schedules", str(arguments.schedules)] if arguments.schedules else []
    limits = {"TVM_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    limits |= {"TVM_THREAD_POOL_SPIN_COUNT": TVM_SPINS}
    done = subprocess.run(command, env=os.environ | limits, check=True, stdout=subprocess.PIPE)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def _time_networks(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Compile, verify and time the networks, in turns."""
    [num_threads] = arguments.threads
    schedules = schedules_in(arguments.schedules)
    pairs: dict[str, tuple[Run, Run]] = {}
    for name in arguments.networks:
        path = arguments.folder / f"{name}.onnx"
        compiled = compile_network(
            path,
            find_target("host"),
            cache_dir=arguments.folder,
            num_threads=num_threads,
            schedules=schedules,
        )
        network = LoadedNetwork(compiled.path, compiled.input_shape)
        pairs[name] = (network.time_ms, _rival(path, num_threads, network))
    if arguments.compile_only:
        return []
    return _in_turns(pairs, arguments.rounds)


def schedules_in(folder: Path | None) -> ScheduleSource | None:
    """Return the schedules kept in ``folder``, or none where no folder is given."""
    if folder is None:
        return None
    from cmpc_cost_models.schedules.source import open_schedules

    schedules = open_schedules(folder, find_target("host"))
    if schedules is None:
        sys.exit(f"{folder} must hold a schedule database of this machine's target")
    return schedules


def _rival(path: Path, num_threads: int, ours: LoadedNetwork) -> Run:
    """Return what times ONNX Runtime on a network that it computes as we do."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    image = np.random.default_rng(0).random(entry.shape, dtype=np.float32)
    [expected] = session.run(None, {entry.name: image})
    if np.abs(ours.run(image) - expected).max() > LARGEST_DIFFERENCE * np.abs(expected).max():
        sys.exit(f"the two answers differ: {path.stem}")
    binding = session.io_binding()  # no copies, which we don't time either
    binding.bind_cpu_input(entry.name, image)
    binding.bind_output(session.get_outputs()[0].name)

    def time_ms(num_runs: int) -> float:
        session.run_with_iobinding(binding)
        start = time.perf_counter()
        for _ in range(num_runs):
            session.run_with_iobinding(binding)
        return (time.perf_counter() - start) / num_runs * 1e3

    return time_ms


def _in_turns(pairs: dict[str, tuple[Run, Run]], num_rounds: int) -> list[dict[str, Any]]:
    num_runs = {
        name: [math.ceil(BLOCK_MS / min(run(1) for _ in range(3))) for run in both]
        for name, both in pairs.items()
    }
    blocks_ms = {name: np.empty((2, num_rounds)) for name in pairs}
    turns = [(name, which) for name in pairs for which in (0, 1)]
    shuffle = random.Random(0).shuffle
    for number in range(num_rounds):
        shuffle(turns)
        for name, which in turns:
            time.sleep(REST_SECONDS)
            blocks_ms[name][which, number] = pairs[name][which](num_runs[name][which])
    return [_row(name, blocks) for name, blocks in blocks_ms.items()]


def _row(name: str, blocks_ms: Any) -> dict[str, Any]:
    ours, theirs = blocks_ms
    low, middle, high = np.quantile(ours / theirs, (0.25, 0.5, 0.75)).tolist()
    return {
        "network": name,
        "ours_ms": float(np.median(ours)),
        "onnxruntime_ms": float(np.median(theirs)),
        "ratio": middle,
        "ratio_quartiles": [low, high],
        "num_rounds": len(ours),
    }


def _print_table(num_threads: str, rows: list[dict[str, Any]]) -> None:
    print(f"\n{num_threads} thread(s), load {os.getloadavg()[0]:.1f}")
    print(f"{'':<22}{'ours ms':>9}{'ORT ms':>9}{'ratio':>8}{'quartiles':>16}")
    for row in rows:
        low, high = row["ratio_quartiles"]
        print(f"{row['network']:<22}{row['ours_ms']:>9.3f}{row['onnxruntime_ms']:>9.3f}", end="")
        print(f"{row['ratio']:>8.3f}{low:>9.3f}{high:>7.3f}")
    ratios = [row["ratio"] for row in rows]
    print(f"geometric mean {statistics.geometric_mean(ratios):.3f}, worst {max(ratios):.3f}")


if __name__ == "__main__":
    main()
