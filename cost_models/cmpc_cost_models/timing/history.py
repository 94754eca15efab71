"""What did earlier timings of this very library say?

A machine that is slow for minutes looks as steady as one that isn't: all blocks of a timing agree,
and all are wrong. Another process may have met it at its own speed. So the last timings of each
library are kept beside it, and one that is clearly slower than the fastest of them is not trusted;
nor is what was timed in turn with it. One network is always among those: the reference network.
Unstable ones count as well: what disturbs a machine makes it slower, so what it did once it can do.

    <cache>/compiled/<key>/timings.json    {"timings": [{"how": ..., "latency_ms": ...}, ...]}
                                           the latest last
"""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cmpc_base.json_files import read_json, write_json
from cmpc_cost_models.records import Measurement

__all__ = ["doubted_by_history", "doubts_of_history", "keep_timings"]

FILE_NAME = "timings.json"
NUM_KEPT = 32  # so that a machine that has become slower for good is believed again
LARGEST_EXCESS = 0.03  # over the fastest of them


def doubts_of_history(latency_ms: float, earlier_ms: Sequence[float]) -> Iterator[str]:
    """Say why a latency may not be trusted, given earlier ones of the same library."""
    fastest = min(earlier_ms, default=latency_ms)
    excess = latency_ms / fastest - 1
    if excess > LARGEST_EXCESS:
        yield (
            f"an earlier timing of the very same library gave {fastest:.4g} ms, "
            f"{latency_ms:.4g} ms is {excess:.1%} more: "
            "the machine is slower now than it can be"
        )


def doubted_by_history(
    measurements: Sequence[Measurement], reference: Measurement | None = None, *, how: str
) -> list[Measurement]:
    """Return ``measurements`` of networks, doubted where timings that were kept are faster.

    Args:
        reference: Of the reference network, timed in turn with them.
        how: What must be the same for two timings of one library to be compared.
    """
    common = [f"of the reference network, {one}" for one in _doubts(reference, how)]
    return [_with_doubts(one, (*_doubts(one, how), *common)) for one in measurements]


def keep_timings(measurements: Sequence[Measurement], *, how: str) -> None:
    """Write what was measured beside the libraries, for later timings to be compared with."""
    for one in measurements:
        if one.compiled is not None and one.cost is not None:
            _keep(one.compiled.path, how, one.cost.value)


def _doubts(measurement: Measurement | None, how: str) -> tuple[str, ...]:
    """Compare a measurement with the kept ones."""
    if measurement is None or measurement.compiled is None or measurement.cost is None:
        return ()
    earlier_ms = [
        one["latency_ms"] for one in _read(measurement.compiled.path) if one["how"] == how
    ]
    return tuple(doubts_of_history(measurement.cost.value, earlier_ms))


def _with_doubts(measurement: Measurement, more: tuple[str, ...]) -> Measurement:
    doubts = (*measurement.unstable_reasons, *more)
    return dataclasses.replace(measurement, is_stable=not doubts, unstable_reasons=doubts)


def _keep(library: Path, how: str, latency_ms: float) -> None:
    """Add a timing. Of two processes that add at once one may lose its own: it is a hint only."""
    kept = [*_read(library), {"how": how, "latency_ms": latency_ms}][-NUM_KEPT:]
    with suppress(OSError):  # a cache that may only be read: the measurement is none the worse
        write_json(library.parent / FILE_NAME, {"timings": kept})


def _read(library: Path) -> list[dict[str, Any]]:
    try:
        timings = read_json(library.parent / FILE_NAME)["timings"]
        return [{"how": str(one["how"]), "latency_ms": float(one["latency_ms"])} for one in timings]
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or altered
        return []
