"""How a profile reads: a table of its kernels, and what they add up to."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cmpc.output import make_table
from cmpc.reports.base import Report

if TYPE_CHECKING:
    from rich.table import Table

    from cmpc_cost_models.profiling.records import KernelTime, NetworkProfile
    from cmpc_cost_models.records import Cost
    from cmpc_search.stages.profiling import ProfileResult

__all__ = [
    "doubts",
    "kernel_table",
    "part_texts",
    "percentiles_text",
    "profile_report",
    "summary",
    "uncounted_text",
]

COLUMNS = (
    "#",
    "kernel",
    "shape",
    "time us",
    "share %",
    "GFLOP/s",
    "of roofline %",
    "bound by",
    "schedule",
    "name",
)

EXECUTORS = {
    "aot": "executor: aot, one compiled function that calls the kernels; no virtual machine",
    "vm": "executor: vm, TVM's virtual machine, since some operators have no kernel here",
}
"""What makes a network's calls, in words."""


def profile_report(found: "ProfileResult") -> Report:
    """Tell of a profile."""
    profile = found.profile
    return Report(
        document=profile.to_json() | {"network_is": found.chosen.what},
        tables=(kernel_table(profile),),
        sentences=tuple(summary(profile)),
        doubts=tuple(doubts(profile)),
    )


def kernel_table(profile: "NetworkProfile") -> "Table":
    """Show the kernels, the slowest first; ``#`` is a kernel's place in the network."""
    slowest_first = sorted(profile.kernels, key=lambda kernel: -kernel.time_us)
    unstable = "" if profile.is_stable else ", UNSTABLE"
    title = (
        f"{profile.network} on {profile.total.target}, {_threads(profile.num_threads)}: "
        f"{profile.total.value:.4g} ms measured{unstable}"
    )
    return make_table(COLUMNS, [_row(kernel) for kernel in slowest_first], title=title)


def summary(profile: "NetworkProfile") -> Iterator[str]:
    """Say what the kernels add up to, what limits them, and how a rival does."""
    total_us = profile.total.value * 1e3
    yield (
        f"latency: {profile.total.estimator} of {profile.total.count} blocks; "
        f"{profile.total.num_set_aside} blocks, which something slowed down, were set aside"
    )
    yield f"total {total_us:.1f} us = {' + '.join(part_texts(profile))}"
    yield f"single inferences: {percentiles_text(profile.total)}"
    if "rest" not in profile.parts_us:
        yield (
            f"these parts can't be told apart further: calls under the stopwatch take "
            f"{profile.sum_us + profile.machine_us:.1f} us, more than the whole without it"
        )
    times = profile.time_by_origin().items()
    origins = ", ".join(f"{origin} {time_us / profile.sum_us:.0%}" for origin, time_us in times)
    yield f"time in kernels by source of their schedule: {origins}"
    imported = [
        f"{one.operator} {one.node!r}" + (f" ({one.reason})" if one.reason else "")
        for one in profile.nodes
        if one.path == "import"
    ]
    if imported:
        yield f"compiled by TVM's importer, in plain loops: {', '.join(imported)}"
    yield _limits(profile)
    yield EXECUTORS[profile.executor]
    if profile.comparison is not None:
        one = profile.comparison
        yield (
            f"{one.rival} {one.rival_version}: {one.rival_ms:.4g} ms, ours {one.ours_ms:.4g} ms, "
            f"ratio {one.ratio:.3f} +- {one.ratio_spread:.3f} "
            f"(median and MAD of {one.num_pairs} pairs)"
        )


def part_texts(profile: "NetworkProfile") -> list[str]:
    """Say what the total is made of, a text for each part."""
    told = []
    for name, time_us in profile.parts_us.items():
        number = f"{len(profile.kernels)} " if name.startswith("kernels") else ""
        share = f" ({time_us / (profile.total.value * 1e3):.1%})" if number else ""
        told.append(f"{number}{name} {time_us:.1f} us{share}")
    return told


def percentiles_text(cost: "Cost") -> str:
    """Say how single inferences vary, disturbed ones included."""
    percentiles = {"P50": cost.p50, "P90": cost.p90, "P99": cost.p99}
    known = ", ".join(f"{name} {ms:.4g} ms" for name, ms in percentiles.items() if ms is not None)
    return f"{known} over {cost.num_single_runs} runs" if known else "too few were timed one by one"


def uncounted_text(profile: "NetworkProfile") -> str:
    """Name the kernels whose operations nobody could count."""
    names = list(dict.fromkeys(one.record.kind for one in profile.uncounted))
    return f"unknown: TVM can't count the operations of {', '.join(names)}"


def _limits(profile: "NetworkProfile") -> str:
    total_us, roofline = profile.total.value * 1e3, profile.roofline
    if profile.gflops is None or profile.least_us is None:
        return f"GFLOP/s of the whole and the roofline's limit are {uncounted_text(profile)}"
    return (
        f"{profile.gflops:.1f} of {roofline.gflops:.1f} GFLOP/s ({roofline.source}); the roofline "
        f"allows {profile.least_us:.1f} us for these kernels, {profile.least_us / total_us:.0%}"
    )


def doubts(profile: "NetworkProfile") -> list[str]:
    """Return why times may not be trusted, those of a comparison too; none where they may."""
    compared = profile.comparison.unstable_reasons if profile.comparison else ()
    return [*profile.unstable_reasons, *compared]


def _row(kernel: "KernelTime") -> tuple[object, ...]:
    record = kernel.record
    return (
        kernel.position,
        record.kind,
        record.shape,
        kernel.time_us,
        100 * kernel.share,
        "unknown" if record.flops is None else kernel.gflops,
        "unknown" if kernel.roofline_share is None else 100 * kernel.roofline_share,
        kernel.bound_by or "unknown",
        record.origin,
        record.symbol,
    )


def _threads(number: int) -> str:
    return f"{number} thread{'' if number == 1 else 's'}"
