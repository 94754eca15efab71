"""How long does a candidate take from ONNX to compiled and compared with ONNX Runtime?

    python benchmarks/compiling.py                   # 40 candidates of each space
    python benchmarks/compiling.py --candidates 20 --schedules DIR

Candidates are drawn from a space and compiled one after the other, as a search does it: the first
one finds no kernel compiled before, later ones share most of theirs with earlier ones. Loading TVM
is not counted, a worker does it once.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from latency import schedules_in
from networks import DRAWN_SPACES, write_drawn_networks

from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.schedules.schedule import ScheduleSource
from cmpc_cost_models.sites.agreement import compare
from cmpc_cost_models.sites.loaded import LoadedNetwork
from cmpc_cost_models.targets.machine import describe_machine, describe_versions
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.targets.target import Target

FEWEST = 2  # candidates: of one there are no quartiles
FEW = 5  # candidates at the start, and at the end, whose median is told by itself


def main() -> None:
    """Print a line for each space, or one JSON document."""
    arguments = read_arguments()
    host = find_target("host")
    schedules = schedules_in(arguments.schedules)
    with tempfile.TemporaryDirectory() as name:
        paths = write_drawn_networks(Path(name), arguments.candidates)
        compile_and_compare(next(iter(paths.values())), host, Path(name) / "first", schedules)
        report = {
            space: compile_in_turn(
                [path for one, path in paths.items() if one.startswith(space)],
                lambda path: compile_and_compare(path, host, Path(name) / "cache", schedules),
            )
            for space, _ in DRAWN_SPACES
        }
    if arguments.json:
        machine = {"machine": describe_machine(), "versions": describe_versions()}
        print(json.dumps({"schema_version": 1, "spaces": report} | machine, indent=2))
        return
    for space, seconds in report.items():
        print(told(space, seconds))


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--candidates", type=int, default=40, help="of each space [40]")
    parser.add_argument("--schedules", type=Path, help="folder of a schedule database [rules only]")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.candidates < FEWEST:
        parser.error(f"--candidates must be at least {FEWEST}, got {arguments.candidates}")
    return arguments


def compile_in_turn(paths: list[Path], compile_one: Callable[[Path], None]) -> list[float]:
    """Return the seconds that each candidate took."""
    seconds = []
    for path in paths:
        start = time.perf_counter()
        compile_one(path)
        seconds.append(time.perf_counter() - start)
    return seconds


def compile_and_compare(
    path: Path, target: Target, cache: Path, schedules: ScheduleSource | None
) -> None:
    compiled = compile_network(path, target, cache_dir=cache, schedules=schedules)
    network = LoadedNetwork(compiled.path, compiled.input_shape)
    if objection := compare(network.run, path, compiled.input_shape).objection:
        sys.exit(f"{path.stem}: {objection}")


def told(space: str, seconds: list[float]) -> str:
    """Say how long candidates took: all, and the first and last few."""
    low, _, high = statistics.quantiles(seconds, n=4)
    first, last = (statistics.median(few) for few in (seconds[:FEW], seconds[-FEW:]))
    return (
        f"{space}: median {statistics.median(seconds):.2f} s of {len(seconds)} candidates "
        f"(quartiles {low:.2f} to {high:.2f}); first {FEW} {first:.2f} s, last {FEW} {last:.2f} s"
    )


if __name__ == "__main__":
    main()
