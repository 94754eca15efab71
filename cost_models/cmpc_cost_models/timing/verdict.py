"""What do the timed blocks say, and may they be trusted?

The value is the *undisturbed median*: not the median of all blocks, but of those in the fastest
rounds that agree (``rounds``). It tells what the network takes on this machine when nothing else
happens there, and how many blocks were set aside is told with it. One disturbed block moves a mean,
and a minimum tells of the luckiest moment only. What a user meets, disturbed or not, are the
percentiles of single inferences, which no block can give: it is a mean over many.

A verdict of "unstable" always says why: the blocks themselves disagree, or the machine did
something else meanwhile, even where the blocks happen to agree (beside a rival on the same core all
of them are equally wrong).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmpc_cost_models.records.evidence import Conditions
from cmpc_cost_models.timing.rounds import FEWEST_UNDISTURBED, undisturbed_rounds

__all__ = [
    "UNDISTURBED_MEDIAN",
    "BlockStatistics",
    "doubts_of_clock",
    "doubts_of_ratio",
    "percentiles_of",
    "summarise_blocks",
]

UNDISTURBED_MEDIAN = "undisturbed median"

LARGEST_DISTURBED = 0.8  # of the rounds; beyond it the fastest seen may not be the machine's own
LARGEST_SPREAD = 0.02  # MAD over median; quiet machines stay below 0.005
LARGEST_DRIFT = 0.03  # last third over first third; clocks that sink or rise show here
LARGEST_ERROR = 0.01  # standard error of the median, of the median
LARGEST_RATIO_ERROR = 0.02
SMALLEST_CPU_SHARE = 0.97  # below it the timed thread did not run all the time
LARGEST_WAIT = 0.02  # of the time ready to run and without a processor
LARGEST_OTHERS = 0.05  # of the processor used by others; counted in ticks, thus the slack
LARGEST_STEAL = 0.02  # of the processor given away by the hypervisor
FEWEST_TICKS_S = 0.03  # what is counted in ticks of 10 ms means nothing below three of them
LARGEST_CLOCK_CHANGE = 0.05  # from before to after, where the system tells its clock
PERCENTILES = {"p50": 10, "p90": 10, "p99": 100}  # each with the fewest runs that tell it
MEDIAN_ERROR = math.sqrt(math.pi / 2) * 1.4826  # standard error of a median, from the MAD


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockStatistics:
    """The summary of one timing; ``unstable_reasons`` is empty when it may be trusted.

    Attributes:
        num_blocks, undisturbed_ms, mad_ms, drift: Of the blocks in undisturbed rounds: how many,
            their median, its median absolute deviation, their relative change.
        num_set_aside: How many blocks besides are in rounds that something slowed down.
        disturbed_share: How many of the rounds something slowed down.
    """

    num_blocks: int
    num_set_aside: int
    undisturbed_ms: float
    mad_ms: float
    drift: float
    disturbed_share: float
    unstable_reasons: tuple[str, ...]


def summarise_blocks(
    blocks_ms: Sequence[float], conditions: Conditions, *, blocks_per_round: int | None = None
) -> BlockStatistics:
    """Summarise the mean latencies of at least three blocks, in the order they ran.

    Args:
        blocks_ms: The mean latency of each block.
        conditions: What went on in the machine while they were timed.
        blocks_per_round: How many of them ran without a pause; ``None`` for all.
    """
    every = np.asarray(blocks_ms, np.float64)
    round_size = blocks_per_round or len(every)
    rounds = undisturbed_rounds(blocks_ms, round_size)
    blocks = every[np.repeat(rounds, round_size)]
    third = max(1, len(blocks) // 3)
    median = float(np.median(blocks))
    spread = float(np.median(np.abs(blocks - median)))
    drift = float(np.median(blocks[-third:]) / np.median(blocks[:third])) - 1
    error = MEDIAN_ERROR * spread / math.sqrt(len(blocks))
    doubts = [
        *_doubts_of_rounds(rounds),
        *_doubts_of_blocks(spread / median, drift, error / median),
        *_doubts_of(conditions),
    ]
    return BlockStatistics(
        num_blocks=len(blocks),
        num_set_aside=len(every) - len(blocks),
        undisturbed_ms=median,
        mad_ms=spread,
        drift=drift,
        disturbed_share=1 - float(rounds.mean()),
        unstable_reasons=tuple(doubts),
    )


def percentiles_of(single_ms: Sequence[float]) -> dict[str, float | None]:
    """Return p50, p90 and p99 of the durations of single runs; None where too few tell one."""
    return {
        name: float(np.percentile(single_ms, int(name[1:]))) if len(single_ms) >= fewest else None
        for name, fewest in PERCENTILES.items()
    }


def doubts_of_ratio(spread: float, num_pairs: int) -> Iterator[str]:
    """Say why the median of ratios of neighbouring blocks may not be trusted.

    What disturbs both of a pair cancels, so only the pairs' own disagreement counts.

    Args:
        spread: Median absolute deviation of the ratios, of their median.
    """
    error = MEDIAN_ERROR * spread / math.sqrt(num_pairs)
    if error > LARGEST_RATIO_ERROR:
        yield (
            f"the ratio is known to {error:.1%} over {num_pairs} pairs of blocks, "
            f"not to {LARGEST_RATIO_ERROR:.0%}"
        )


def doubts_of_clock(timed_s: float, wall_s: float) -> Iterator[str]:
    """Say why a device's clock may not be trusted: what it timed took less time here.

    One that is slow shows nothing: asking and warming up take time as well.
    """
    if timed_s > wall_s * (1 + LARGEST_CLOCK_CHANGE):
        yield (
            f"the blocks took {timed_s:.3g} s by the clock that timed them and at most "
            f"{wall_s:.3g} s by this machine's: one of the two is wrong"
        )


def _doubts_of_rounds(rounds: npt.NDArray[np.bool_]) -> Iterator[str]:
    num_undisturbed, num_rounds = int(rounds.sum()), len(rounds)
    is_mostly_disturbed = num_undisturbed < (1 - LARGEST_DISTURBED) * num_rounds
    if num_undisturbed < min(FEWEST_UNDISTURBED, num_rounds) or is_mostly_disturbed:
        yield (
            f"only {num_undisturbed} of {num_rounds} rounds agree near the fastest: "
            "something slows the machine down again and again"
        )
    elif num_rounds >= FEWEST_UNDISTURBED and not rounds[num_rounds // 2 :].any():
        yield (
            "no round of the second half is as fast as those of the first: the machine has become "
            "slower, as one does that grows hot, and may stay so"
        )


def _doubts_of_blocks(spread: float, drift: float, error: float) -> Iterator[str]:
    if spread > LARGEST_SPREAD:
        yield f"the blocks spread by {spread:.1%}, more than {LARGEST_SPREAD:.0%}"
    elif error > LARGEST_ERROR:
        yield f"too few blocks: their median is known to {error:.1%}, not to {LARGEST_ERROR:.0%}"
    if abs(drift) > LARGEST_DRIFT:
        yield f"the latency drifted by {drift:+.1%}, more than {LARGEST_DRIFT:.0%}"


def _doubts_of(conditions: Conditions) -> Iterator[str]:
    if conditions.cpu_share is not None and conditions.cpu_share < SMALLEST_CPU_SHARE:
        yield (
            f"the process had its core for {conditions.cpu_share:.0%} of the time, "
            f"less than {SMALLEST_CPU_SHARE:.0%}: the machine is busy"
        )
    if (waiting := conditions.waiting_share or 0.0) > LARGEST_WAIT:
        yield (
            f"it waited for its core {waiting:.0%} of the time, more than {LARGEST_WAIT:.0%}: "
            "another process runs there"
        )
    if _counts(conditions.others_share, LARGEST_OTHERS, conditions):
        yield (
            f"others used {conditions.others_share:.0%} of its core, more than {LARGEST_OTHERS:.0%}"
        )
    if _counts(conditions.stolen_share, LARGEST_STEAL, conditions):
        yield (
            f"the hypervisor took {conditions.stolen_share:.0%} of its core away, "
            f"more than {LARGEST_STEAL:.0%}"
        )
    before, after = conditions.clock_mhz
    if before and after and abs(after / before - 1) > LARGEST_CLOCK_CHANGE:
        yield f"the clock went from {before:.0f} to {after:.0f} MHz meanwhile"
    ruled, rules = conditions.governor
    if ruled and rules and ruled != rules:
        yield f"the governor of the clock was changed from {ruled} to {rules} meanwhile"


def _counts(share: float | None, largest: float, conditions: Conditions) -> bool:
    """Tell whether a share that was counted in ticks is too large, and no mere tick."""
    return share is not None and share > largest and share * conditions.wall_s >= FEWEST_TICKS_S
