"""How a profile reads: which network it is of, a table of its kernels, what they add up to."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cmpc.errors import BadSettings
from cmpc.output import make_table

if TYPE_CHECKING:
    from rich.table import Table

    from cmpc_cost_models.profiling.records import KernelTime, NetworkProfile

__all__ = ["doubts", "kernel_table", "network_of", "summary"]

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


def network_of(model: Path, candidate: int | None) -> Path:
    """Return the ONNX file that is meant: ``model`` itself, or a candidate of the run it is.

    Raises:
        BadSettings: a candidate is asked for of what is no run.
        BadRun: the folder is no run, or it has no such candidate.
    """
    if not model.is_dir():
        if candidate is not None:
            raise BadSettings(f"`--candidate` goes with a run, and {model} is a file; leave it out")
        return model
    from cmpc_search.errors import BadRun
    from cmpc_search.runs import read_pick, reopen_run
    from cmpc_search.study.loop import load_candidates

    run = reopen_run(model)
    if candidate is None:
        chosen = read_pick(run)
    else:
        found = {one.number: one for one in load_candidates(run.study_path)}
        if candidate not in found:
            raise BadRun(f"{model} must hold candidate {candidate}; it has {sorted(found)}")
        chosen = found[candidate]
    path = run.candidates_path / f"{chosen.score.architecture}.onnx"
    if not path.is_file():
        raise BadRun(f"candidate {chosen.number} must have its network at {path}; search again")
    return path


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
        f"total {total_us:.1f} us = {len(profile.kernels)} kernels {profile.sum_us:.1f} us "
        f"({profile.sum_us / total_us:.1%}) + virtual machine {profile.machine_us:.1f} us "
        f"+ rest {profile.rest_us:.1f} us"
    )
    times = profile.time_by_origin().items()
    origins = ", ".join(f"{origin} {time_us / profile.sum_us:.0%}" for origin, time_us in times)
    yield f"time in kernels by source of their schedule: {origins}"
    roofline = profile.roofline
    yield (
        f"{profile.gflops:.1f} of {roofline.gflops:.1f} GFLOP/s ({roofline.source}); the roofline "
        f"allows {profile.least_us:.1f} us for these kernels, {profile.least_us / total_us:.0%}"
    )
    if profile.comparison is not None:
        one = profile.comparison
        yield (
            f"{one.rival} {one.rival_version}: {one.rival_ms:.4g} ms, ours {one.ours_ms:.4g} ms, "
            f"ratio {one.ratio:.3f} +- {one.ratio_spread:.3f} "
            f"(median and MAD of {one.num_pairs} pairs)"
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
        kernel.gflops,
        100 * kernel.roofline_share,
        kernel.bound_by,
        record.origin,
        record.symbol,
    )


def _threads(number: int) -> str:
    return f"{number} thread{'' if number == 1 else 's'}"
