"""How are several things timed so that the figures can be compared? In blocks, in turn.

    warm up until steady --> [A block, B block, ...] x num_blocks --> conditions of the machine

A block is as many runs as take ``block_ms``, and its mean is one repeat: clocks and calls do not
show. Everything is timed in turn, block by block, so that a clock that sinks or a neighbour that
wakes hits all alike, and a ratio of neighbouring blocks is fair even when the machine is not quiet.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cmpc_cost_models.measuring.conditions import Conditions, conditions_between, take_snapshot

__all__ = ["Blocks", "Runner", "TimingSettings", "time_in_turn"]

Runner = Callable[[int], float]  # number of runs -> their mean duration in ms

MAX_RUNS_PER_BLOCK = 100_000
FEWEST_BLOCKS = 3
STEADY_BLOCKS = 4  # so many blocks in a row must agree for a warm-up to end
STEADY_WITHIN = 0.01  # of their smallest
LONGEST_WARMUP = 10  # times ``warmup_ms``; a machine that is never steady must not stop the work


@dataclass(frozen=True, kw_only=True, slots=True)
class TimingSettings:
    """How to time; ``measured.MeasureSettings`` says what the fields mean."""

    num_blocks: int
    block_ms: float
    warmup_ms: float
    max_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocks:
    """What came of timing several things in turn.

    Attributes:
        blocks_ms: For each thing the mean duration of each block, in the order they ran.
        runs_per_block: For each thing, how many runs made one block.
        warmup_ms: How long warming up took, all things together.
        is_steady: Whether every thing's warm-up ended because its blocks agreed.
        conditions: Of the machine, over all blocks.
    """

    blocks_ms: list[list[float]]
    runs_per_block: list[int]
    warmup_ms: float
    is_steady: bool
    conditions: Conditions

    def to_json(self) -> dict[str, Any]:
        return {
            "blocks_ms": self.blocks_ms,
            "runs_per_block": self.runs_per_block,
            "warmup_ms": self.warmup_ms,
            "is_steady": self.is_steady,
            "conditions": self.conditions.to_json(),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Blocks":
        return cls(**document | {"conditions": Conditions.from_json(document["conditions"])})


def time_in_turn(
    runners: Sequence[Runner],
    settings: TimingSettings,
    *,
    cpus: Sequence[int],
    settle: Callable[[int], None] = lambda _: None,
) -> Blocks:
    """Time ``runners`` in turn, block by block, with the calling thread pinned to ``cpus`` already.

    Args:
        settle: Called with a runner's number before each of its blocks; not timed.
    """
    start = time.perf_counter()
    warm = [_warm_up(runner, settings) for runner in runners]
    num_runs = [_runs_in(settings.block_ms, latency_ms) for latency_ms, _ in warm]
    turn_ms = sum(number * warm_ms for number, (warm_ms, _) in zip(num_runs, warm, strict=True))
    affordable = int(settings.max_seconds * 1e3 / turn_ms)
    num_blocks = max(FEWEST_BLOCKS, min(settings.num_blocks, affordable))
    blocks: list[list[float]] = [[] for _ in runners]
    warmup_ms = (time.perf_counter() - start) * 1e3
    before = take_snapshot(cpus)
    for _ in range(num_blocks):
        for index, runner in enumerate(runners):
            settle(index)
            blocks[index].append(runner(num_runs[index]))
    after = take_snapshot(cpus)
    return Blocks(
        blocks_ms=blocks,
        runs_per_block=num_runs,
        warmup_ms=warmup_ms,
        is_steady=all(is_steady for _, is_steady in warm),
        conditions=conditions_between(before, after, num_cpus=max(1, len(cpus))),
    )


def _warm_up(runner: Runner, settings: TimingSettings) -> tuple[float, bool]:
    """Run until the last blocks agree; return the latency in ms and whether they did."""
    start = time.perf_counter()
    latency_ms = runner(1)
    last: list[float] = []
    while (passed_ms := (time.perf_counter() - start) * 1e3) < LONGEST_WARMUP * settings.warmup_ms:
        latency_ms = runner(_runs_in(settings.block_ms, latency_ms))
        last = [*last[-STEADY_BLOCKS + 1 :], latency_ms]
        if passed_ms >= settings.warmup_ms and _agree(last):
            return latency_ms, True
    return latency_ms, _agree(last)


def _agree(latencies_ms: Sequence[float]) -> bool:
    is_enough = len(latencies_ms) == STEADY_BLOCKS
    return is_enough and max(latencies_ms) <= min(latencies_ms) * (1 + STEADY_WITHIN)


def _runs_in(block_ms: float, latency_ms: float) -> int:
    return min(MAX_RUNS_PER_BLOCK, math.ceil(block_ms / max(latency_ms, 1e-6)))
