"""How are several things timed so that the figures can be compared? In blocks, in turn, in rounds.

    warm up until steady --> round: [A block, B block, ...] x 4 --> pause --> round --> ...

A block is as many runs as take ``block_ms``, and its mean is one repeat: clocks and calls do not
show. Everything is timed in turn, block by block, so that a clock that sinks or a neighbour that
wakes hits all alike, and a ratio of neighbouring blocks is fair even when the machine is not quiet.

Rounds are spread over seconds, since what slows a machine down comes and goes in seconds: within
half of one, all blocks may agree and all be 7 % too slow (seen on a virtual machine whose host had
other guests). Disturbances only ever slow down. So the fastest rounds that agree with each other
count as undisturbed (``rounds``), and rounds go on until there are enough of those.

The mean of a block hides its slowest run. How single inferences vary is asked afterwards, of runs
that are timed one by one.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cmpc_cost_models.records.evidence import Conditions, TimingSettings
from cmpc_cost_models.timing.conditions import (
    Snapshot,
    conditions_between,
    conditions_together,
)
from cmpc_cost_models.timing.rounds import FEWEST_UNDISTURBED, undisturbed_rounds

__all__ = ["Blocks", "Runner", "SingleRunner", "time_in_turn", "with_single_runs"]

Runner = Callable[[int], float]  # number of runs -> their mean duration in ms
SingleRunner = Callable[[int], list[float]]  # number of runs -> the duration of each in ms

MAX_RUNS_PER_BLOCK = 100_000
FEWEST_BLOCKS = 3
STEADY_BLOCKS = 4  # so many blocks in a row must agree for a warm-up to end
STEADY_WITHIN = 0.01  # of their smallest
BLOCKS_PER_ROUND = 4
FEWEST_ROUNDS = 8  # where a network is fast enough for as many
QUIET_SHARE = 0.5  # of the rounds: with fewer undisturbed, a faster level may not have shown yet
MOST_EXTENSION = 4  # times the rounds asked for, while too few are undisturbed
SINGLE_SECONDS = 1.0  # for all single runs of one thing
LONGEST_WARMUP = 10  # times ``warmup_ms``; a machine that is never steady must not stop the work


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocks:
    """What came of timing several things in turn.

    Attributes:
        blocks_ms: For each thing the mean duration of each block, in the order they ran.
        blocks_per_round: How many blocks ran without a pause.
        runs_per_block: For each thing, how many runs made one block.
        warmup_ms: How long warming up took, all things together.
        is_steady: Whether every thing's warm-up ended because its blocks agreed.
        conditions: Of the machine, over all rounds without the pauses.
        single_ms: For each thing the durations of single runs; empty where nobody asked.
    """

    blocks_ms: list[list[float]]
    blocks_per_round: int
    runs_per_block: list[int]
    warmup_ms: float
    is_steady: bool
    conditions: Conditions
    single_ms: list[list[float]] = field(default_factory=list)

    @property
    def timed_s(self) -> float:
        """How long all blocks took together, by the clock that timed them."""
        pairs = zip(self.blocks_ms, self.runs_per_block, strict=True)
        return sum(num_runs * sum(ms) for ms, num_runs in pairs) / 1e3

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"conditions": self.conditions.to_json()}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Blocks":
        return cls(**document | {"conditions": Conditions.from_json(document["conditions"])})


def time_in_turn(
    runners: Sequence[Runner],
    settings: TimingSettings,
    *,
    observe: Callable[[], Snapshot],
    on_block: Callable[[int], None] = lambda _: None,
) -> Blocks:
    """Time ``runners`` in turn, block by block, on the processors that they are to keep.

    Args:
        observe: Takes a snapshot of the machine that they run on.
        on_block: Called with a runner's number after each of its blocks, but those that warm up.
    """
    start = time.perf_counter()
    warm = [_warm_up(runner, settings) for runner in runners]
    num_runs = [_runs_in(settings.block_ms, latency_ms) for latency_ms, _ in warm]
    turn_s = sum(runs * ms for runs, (ms, _) in zip(num_runs, warm, strict=True)) / 1e3
    warmup_ms = (time.perf_counter() - start) * 1e3
    rounds = _Rounds(runners, num_runs, _plan_rounds(settings, turn_s), on_block)
    rounds.run(observe)
    while _wants_more(rounds.plan, rounds.blocks_ms, time.perf_counter() - start, settings):
        rounds.pause()
        rounds.run(observe)
    return Blocks(
        blocks_ms=rounds.blocks_ms,
        blocks_per_round=rounds.plan.blocks_per_round,
        runs_per_block=num_runs,
        warmup_ms=warmup_ms,
        is_steady=all(is_steady for _, is_steady in warm),
        conditions=conditions_together(rounds.conditions),
    )


def with_single_runs(
    blocks: Blocks, runners: Sequence[SingleRunner], settings: TimingSettings
) -> Blocks:
    """Return ``blocks`` with the durations of single runs, fewer of what is slow."""

    def single_runs(run: SingleRunner, block_ms: float) -> list[float]:
        affordable = int(SINGLE_SECONDS * 1e3 / block_ms)
        num_runs = min(settings.num_single_runs, affordable)
        return run(num_runs) if num_runs else []

    pairs = zip(runners, blocks.blocks_ms, strict=True)
    return replace(blocks, single_ms=[single_runs(run, min(ms)) for run, ms in pairs])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """How many rounds there shall be at least, of how many blocks, how far apart."""

    num_rounds: int
    blocks_per_round: int
    pause_s: float


class _Rounds:
    """The rounds that have run, and what went on in each."""

    def __init__(
        self,
        runners: Sequence[Runner],
        num_runs: Sequence[int],
        plan: _Plan,
        on_block: Callable[[int], None],
    ) -> None:
        self.plan = plan
        self.blocks_ms: list[list[float]] = [[] for _ in runners]
        self.conditions: list[Conditions] = []
        self._turn = list(zip(runners, num_runs, strict=True))
        self._on_block = on_block

    def run(self, observe: Callable[[], Snapshot]) -> None:
        """Time one round."""
        before = observe()
        for _ in range(self.plan.blocks_per_round):
            for index, (runner, num_runs) in enumerate(self._turn):
                self.blocks_ms[index].append(runner(num_runs))
                self._on_block(index)
        self.conditions.append(conditions_between(before, observe()))

    def pause(self) -> None:
        """Wait for the next round, and wake up whatever slept meanwhile."""
        if self.plan.pause_s:
            time.sleep(self.plan.pause_s)
            for runner, num_runs in self._turn:
                runner(num_runs)


def _plan_rounds(settings: TimingSettings, turn_s: float) -> _Plan:
    affordable = int(settings.max_seconds / turn_s)
    num_turns = max(FEWEST_BLOCKS, min(settings.num_blocks, affordable))
    blocks_per_round = max(1, min(BLOCKS_PER_ROUND, num_turns // FEWEST_ROUNDS))
    num_rounds = num_turns // blocks_per_round
    left_s = settings.span_seconds - num_rounds * (blocks_per_round + 1) * turn_s
    return _Plan(
        num_rounds=num_rounds,
        blocks_per_round=blocks_per_round,
        pause_s=max(0.0, left_s / num_rounds),
    )


def _wants_more(
    plan: _Plan, blocks: Sequence[Sequence[float]], passed_s: float, settings: TimingSettings
) -> bool:
    """Tell whether another round is wanted: too few yet, or too few of them undisturbed."""
    done = len(blocks[0]) // plan.blocks_per_round
    if done < plan.num_rounds:
        return True
    if passed_s >= settings.max_seconds or done >= MOST_EXTENSION * plan.num_rounds:
        return False
    wanted = max(min(FEWEST_UNDISTURBED, plan.num_rounds), done * QUIET_SHARE)
    return any(sum(undisturbed_rounds(one, plan.blocks_per_round)) < wanted for one in blocks)


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
