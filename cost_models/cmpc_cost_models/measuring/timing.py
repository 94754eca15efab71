"""What do the timed blocks say, and may they be trusted?

The median and the median absolute deviation describe a timing: one disturbed block moves a mean,
and a minimum tells of the luckiest moment only. A verdict of "unstable" always says why.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["BlockStatistics", "summarise_blocks"]

LARGEST_SPREAD = 0.03  # MAD over median; quiet machines stay below 0.01
LARGEST_DRIFT = 0.05  # last third over first third; clocks that sink or rise show here
SMALLEST_CPU_SHARE = 0.95  # below it the timed process had to share its core


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockStatistics:
    """The summary of one timing; ``unstable_reasons`` is empty when it may be trusted."""

    num_blocks: int
    median_ms: float
    mad_ms: float
    p90_ms: float
    p99_ms: float
    drift: float
    cpu_share: float
    unstable_reasons: tuple[str, ...]


def summarise_blocks(blocks_ms: Sequence[float], *, cpu_share: float) -> BlockStatistics:
    """Summarise the mean latencies of at least three blocks, in the order they ran.

    Args:
        blocks_ms: The mean latency of each block.
        cpu_share: CPU time over wall time of the process while it timed them.
    """
    blocks = np.asarray(blocks_ms, np.float64)
    third = len(blocks) // 3
    median = float(np.median(blocks))
    spread = float(np.median(np.abs(blocks - median)))
    drift = float(np.median(blocks[-third:]) / np.median(blocks[:third])) - 1
    return BlockStatistics(
        num_blocks=len(blocks),
        median_ms=median,
        mad_ms=spread,
        p90_ms=float(np.percentile(blocks, 90)),
        p99_ms=float(np.percentile(blocks, 99)),
        drift=drift,
        cpu_share=cpu_share,
        unstable_reasons=tuple(_doubts(spread / median, drift, cpu_share)),
    )


def _doubts(spread: float, drift: float, cpu_share: float) -> Iterator[str]:
    if spread > LARGEST_SPREAD:
        yield f"the blocks spread by {spread:.1%}, more than {LARGEST_SPREAD:.0%}"
    if abs(drift) > LARGEST_DRIFT:
        yield f"the latency drifted by {drift:+.1%}, more than {LARGEST_DRIFT:.0%}"
    if cpu_share < SMALLEST_CPU_SHARE:
        yield (
            f"the process had its core for {cpu_share:.0%} of the time, "
            f"less than {SMALLEST_CPU_SHARE:.0%}: the machine is busy"
        )
