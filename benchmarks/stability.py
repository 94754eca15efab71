"""Does the same compiled network get the same latency in every process? Or does the verdict warn?

A network is compiled once; fresh processes then measure it one after the other, as `cmpc` would.
Their medians must agree: a coefficient of variation of at most 2 %, over those that the verdict
calls stable. An unstable measurement may be off as far as it likes, for it says so.

    python benchmarks/stability.py                        20 processes, a small network
    python benchmarks/stability.py model.onnx --processes 5 --json

Exit code 1 when the stable ones disagree. Measure on a machine that does nothing else.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cmpc_cost_models.graphs.writing import GraphWriter
from cmpc_cost_models.targets.machine import describe_machine

LARGEST_VARIATION = 0.02
MEASURE = """
import json, sys
from pathlib import Path
from cmpc_cost_models.models.catalogue import make_meter
from cmpc_cost_models.compiling.options import CompileOrder
from cmpc_cost_models.targets.table import find_target
order = CompileOrder(
    target=find_target("host"), cache_dir=Path(sys.argv[2]), num_threads=int(sys.argv[3])
)
with make_meter(order) as meter:
    print(json.dumps(meter.measure(Path(sys.argv[1])).to_json()))
"""


def main() -> None:
    arguments = read_arguments()
    with tempfile.TemporaryDirectory() as folder:
        network = arguments.network or write_network(Path(folder) / "network.onnx")
        measure(network, Path(folder), arguments.threads)  # compiles it
        start = time.monotonic()
        found = [
            measure(network, Path(folder), arguments.threads) for _ in range(arguments.processes)
        ]
    document = summarise(found) | {
        "network": network.name,
        "num_threads": arguments.threads,
        "seconds": round(time.monotonic() - start, 1),
        "machine": describe_machine(),
    }
    print(json.dumps(document, indent=2) if arguments.json else told(document))
    sys.exit(0 if document["is_kept"] else 1)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", nargs="?", type=Path, help="ONNX file; else a small network")
    parser.add_argument("--processes", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def write_network(path: Path) -> Path:
    """Write a network of the kind that is searched: some 15 million multiply-adds at 64 pixels."""
    rng = np.random.default_rng(0)
    writer = GraphWriter("stability", (1, 3, 64, 64))

    def convolution(value: str, depth: int, channels: int, size: int, **how: int) -> str:
        weight = rng.standard_normal((channels, depth, size, size), dtype=np.float32)
        return writer.conv(value, weight / (size * depth**0.5), padding=size // 2, **how)

    value = writer.relu(convolution(writer.input, 3, 32, 3, stride=2))
    for depth, channels in ((32, 64), (64, 128), (128, 128), (128, 128)):
        value = writer.relu(convolution(value, depth, channels, 1))
        stride = 2 if channels != depth else 1
        value = convolution(value, 1, channels, 3, groups=channels, stride=stride)
        value = writer.relu(convolution(value, channels, channels, 1))
    weight = rng.standard_normal((128, 128), dtype=np.float32)
    writer.save(path, writer.l2_normalise(writer.dense(writer.global_average_pool(value), weight)))
    return path


def measure(network: Path, cache_dir: Path, num_threads: int) -> dict[str, object]:
    """Return a measurement, as JSON values, that a fresh process made."""
    words = [sys.executable, "-c", MEASURE, str(network), str(cache_dir), str(num_threads)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300)
    answer = json.loads(done.stdout)
    if answer["error"]:
        sys.exit(answer["error"])
    cost = answer["cost"]
    verdict = "; ".join(answer["unstable_reasons"]) or "stable"
    disturbed = cost["machine"]["disturbed_share"]
    print(
        f"{cost['value']:.4f} ms, {disturbed:.0%} disturbed: {verdict}", file=sys.stderr, flush=True
    )
    return dict(answer)


def summarise(found: list[dict[str, object]]) -> dict[str, object]:
    """Return how much the processes' medians vary: all of them, and those called stable."""
    values = [one["cost"]["value"] for one in found]
    stable = [one["cost"]["value"] for one in found if one["is_stable"]]
    variation = coefficient_of_variation(stable)
    return {
        "num_processes": len(found),
        "num_stable": len(stable),
        "latencies_ms": values,
        "median_ms": statistics.median(values),
        "disturbed_shares": [one["cost"]["machine"]["disturbed_share"] for one in found],
        "variation_of_all": coefficient_of_variation(values),
        "variation_of_stable": variation,
        "largest_variation": LARGEST_VARIATION,
        "is_kept": variation is None or variation <= LARGEST_VARIATION,
        "reasons": sorted({reason for one in found for reason in one["unstable_reasons"]}),
    }


def coefficient_of_variation(values: list[float]) -> float | None:
    return statistics.stdev(values) / statistics.fmean(values) if len(values) > 1 else None


def told(document: dict[str, object]) -> str:
    """Say the result in a few lines."""

    def percent(value: object) -> str:
        return "-" if value is None else f"{value:.2%}"

    verdict = "kept" if document["is_kept"] else "BROKEN"
    values = " ".join(f"{value:.4f}" for value in document["latencies_ms"])
    return (
        f"{values}\n{document['network']}, {document['num_threads']} thread(s): median "
        f"{document['median_ms']:.4f} ms over {document['num_processes']} processes\n"
        f"coefficient of variation: {percent(document['variation_of_all'])} of all, "
        f"{percent(document['variation_of_stable'])} of the {document['num_stable']} stable; "
        f"at most {percent(document['largest_variation'])}: {verdict}\n"
        + "".join(f"unstable: {reason}\n" for reason in document["reasons"])
        + f"{document['seconds']} s on {document['machine']['cpu_model']}"
    )


if __name__ == "__main__":
    main()
