"""Is exact search with cmpc faster than with other libraries, and where is it not?

    python benchmarks/retrieval.py --quick
    python benchmarks/retrieval.py --data real --items 1000000 --queries 1 16 --threads 1

All libraries run in one process and in turns (``retrieval_timing.py``). A ratio is rival / ours
within a round, ours being exact mode: above 1 we are faster. The table gives its median and
quartiles; "!" marks what was faster than our exact mode. FAISS flat is there twice, as it comes and
tuned. FAISS SQ8 and our codes alone are not exact: their recall is given. Before that, exact mode's
answers are compared with a float64 brute force (``retrieval_truth.py``), id by id.

The last lines set what one query scans against the memory bandwidth measured in turns with it: by
copying 256 MiB (bytes read plus bytes written) and by summing it. A gallery that fits the
last-level cache can be read faster than memory: its share may pass 100 %.
"""

import argparse
import json
import os
import platform
import statistics
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from retrieval_data import DEFAULT_PATH, Gallery, random_gallery, real_gallery
from retrieval_engines import ENGINES, Built, versions
from retrieval_timing import (
    Effort,
    Timing,
    batches_of,
    in_turns,
    limit_threads,
    scan_against_memory,
    spread,
)
from retrieval_truth import exact_ids

BASE = "exact"


def main() -> None:
    """Run what the arguments ask for."""
    if any("avx512f" in line for line in cpu_lines()):
        # FAISS brings an OpenBLAS that takes newer processors for older ones. Read when it loads.
        os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")
    arguments = parse()
    document: dict[str, Any] = {"machine": machine(), "versions": versions(), "galleries": []}
    print(*(f"{name}: {value}" for name, value in document["machine"].items()), sep=", ")
    print(*(f"{name} {value}" for name, value in document["versions"].items()), sep=", ")
    for data in arguments.data:
        for num_items in arguments.items:
            if data == "random":
                gallery = random_gallery(num_items, arguments.dimension)
            else:
                gallery = real_gallery(num_items, arguments.dimension, arguments.embeddings)
            document["galleries"].append(run_gallery(gallery, arguments))
            if arguments.json:
                arguments.json.write_text(json.dumps(document, indent=1))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", nargs="+", choices=["real", "random"], default=["real", "random"])
    add("--items", nargs="+", type=int, default=[10_000, 100_000, 1_000_000])
    add("--dimension", type=int, default=128, choices=[128, 512])
    add("--queries", nargs="+", type=int, default=[1, 16, 256])
    add("-k", nargs="+", type=int, default=[10, 100])
    add("--threads", nargs="+", type=int, default=[1, 2])
    add("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    add("--rounds", type=int, default=21, help="at most, for each line [21]")
    add("--budget-s", type=float, default=8.0, help="about this long for each line [8]")
    add("--truth", type=int, default=1000, help="queries checked in float64, 0 for none [1000]")
    add("--embeddings", type=Path, default=DEFAULT_PATH, help="file of retrieval_data.py")
    add("--json", type=Path, help="write everything here, each round's time included")
    add("--quick", action="store_true", help="10,000 and 100,000 random rows, 1 thread, under 60 s")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.data, arguments.items = ["random"], [10_000, 100_000]
        arguments.queries, arguments.k, arguments.threads = [1, 16], [10], [1]
        arguments.budget_s = 3.0
    if BASE not in arguments.engines:
        arguments.engines.insert(0, BASE)
    return arguments


def machine() -> dict[str, Any]:
    names = [line for line in cpu_lines() if line.startswith("model name")]
    return {
        "CPU": names[0].split(":")[1].strip() if names else platform.machine(),
        "CPUs": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "date": time.strftime("%Y-%m-%d"),
        "Python": platform.python_version(),
    }


def cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def run_gallery(gallery: Gallery, arguments: argparse.Namespace) -> dict[str, Any]:
    """Build every library's index, check ours, time them all; print as it goes."""
    rows = gallery.rows
    print(f"\n## {gallery.name}, {len(rows):,} x {rows.shape[1]}: {gallery.about}\n")
    engines, facts = build_all(gallery, arguments.engines)
    truth = None
    if arguments.truth:
        truth = exact_ids(rows, gallery.queries[: arguments.truth], max(arguments.k))
        for k in arguments.k:
            found = engines[BASE].search(gallery.queries[: len(truth)], k, max(arguments.threads))
            num_same = int((found == truth[:, :k]).all(axis=1).sum())
            facts[BASE][f"equal to float64, k={k}"] = f"{num_same} of {len(truth)} queries"
            print(f"exact mode, k = {k}: {num_same} of {len(truth)} answers equal float64's")
    lines = []
    effort = Effort(num_rounds=arguments.rounds, budget_s=arguments.budget_s)
    names = [name for name in arguments.engines if name in engines]
    print(f"\n{'queries':>7} {'k':>4} {'threads':>7}  {'exact ms':>16}", end="")
    print("".join(f"{name:>19}" for name in names if name != BASE), "   rounds")
    for num_threads in arguments.threads:
        limit_threads(num_threads)
        for num_queries in arguments.queries:
            for k in arguments.k:
                batches = batches_of(gallery.queries, num_queries)
                shape = (num_queries, k, num_threads)
                timings = in_turns(engines, batches, shape, effort)
                print_line(shape, timings)
                lines.append({"queries": num_queries, "k": k, "threads": num_threads})
                lines[-1]["timings"] = {name: asdict(row) for name, row in timings.items()}
    recalls(engines, gallery, truth, min(arguments.k), facts)
    print_facts(facts)
    bandwidth = {}
    for num_threads in arguments.threads:
        bandwidth[num_threads] = scan_against_memory(engines, gallery.queries, num_threads)
        print_bandwidth(num_threads, bandwidth[num_threads])
    return {
        "name": gallery.name,
        "about": gallery.about,
        "shape": list(rows.shape),
        "facts": facts,
        "lines": lines,
        "bandwidth": bandwidth,
    }


def build_all(
    gallery: Gallery, names: list[str]
) -> tuple[dict[str, Built], dict[str, dict[str, Any]]]:
    """Return what could be built, and what building cost, or why it could not be."""
    engines, facts = {}, {}
    for name in names:
        started = time.perf_counter()
        try:
            engines[name] = ENGINES[name](gallery.rows)
            engines[name].search(gallery.queries[:1], 1, 1)  # imports and compilers end here
        except ImportError as error:
            facts[name] = {"missing": f"not installed ({error})"}
            continue
        # The first build may compile; a second one of the fast libraries tells their real time.
        seconds = time.perf_counter() - started
        if len(gallery.rows) <= 100_000:
            started = time.perf_counter()
            engines[name] = ENGINES[name](gallery.rows)
            seconds = time.perf_counter() - started
        facts[name] = {
            "bytes a vector": round(engines[name].bytes_per_vector, 1),
            "build s": round(seconds, 3),
        }
    return engines, facts


def print_line(shape: tuple[int, int, int], timings: dict[str, Timing]) -> None:
    """Print our time, and each rival's ratio to it."""
    base = timings[BASE]
    print(f"{shape[0]:>7} {shape[1]:>4} {shape[2]:>7}  {spread(base.ms, 3):>16}", end="")
    for name, timing in timings.items():
        if name == BASE:
            continue
        if timing.error:
            print(f"{'failed':>19}", end="")
            continue
        ratios = timing.ratios_to(base)
        mark = "!" if statistics.median(ratios) < 1 else " "
        text = spread(ratios, 2) if len(ratios) > 1 else f"{ratios[0]:.0f} (once)"
        print(f"{text + mark:>19}", end="")
    print(f"    {len(base.ms)}", flush=True)
    for name, timing in timings.items():
        if timing.error:
            print(f"{'':>23}{name} failed: {timing.error}")


def print_bandwidth(num_threads: int, found: dict[str, list[float]]) -> None:
    """Print the bandwidths, and which share of the copy's each scan reaches."""
    text = [f"{name} {spread(found[name], 1)}" for name in ("copy", "read")]
    for name in [name for name in found if name not in ("copy", "read")]:
        shares = [mine / copied for mine, copied in zip(found[name], found["copy"], strict=True)]
        text.append(f"{name} {spread(found[name], 1)}, {statistics.median(shares):.0%} of copy")
    print(f"\nGB/s with {num_threads} thread(s): {'; '.join(text)}", flush=True)


def recalls(
    engines: dict[str, Built],
    gallery: Gallery,
    truth: np.ndarray | None,
    k: int,
    facts: dict[str, dict[str, Any]],
) -> None:
    """Add to the facts which share of the true neighbours each library finds."""
    if truth is None:
        return
    num_queries = min(len(truth), 100)
    for name, engine in engines.items():
        try:
            found = engine.search(gallery.queries[:num_queries], k, 1)
        except Exception:  # told by its timing already
            continue
        hits = [np.isin(found[q], truth[q, :k]).mean() for q in range(num_queries)]
        facts[name][f"recall at {k}"] = round(float(np.mean(hits)), 4)


def print_facts(facts: dict[str, dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(column for row in facts.values() for column in row))
    columns = [column for column in columns if not column.startswith("equal")]
    print(f"\n{'':<14}" + "".join(f"{column:>18}" for column in columns))
    for name, row in facts.items():
        print(f"{name:<14}" + "".join(f"{row.get(column, '')!s:>18}" for column in columns))


if __name__ == "__main__":
    main()
