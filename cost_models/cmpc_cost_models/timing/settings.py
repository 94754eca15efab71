"""How long and how often is a network timed, and on which processors?"""

from dataclasses import dataclass, fields
from typing import Self

from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.records.evidence import TimingSettings

__all__ = ["MeasureSettings"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureSettings:
    """How to measure.

    Attributes:
        num_blocks: How many blocks are timed at least; a block's mean is one repeat.
        max_seconds: Slow networks get fewer blocks, at least three, to stay within this. Up to it
            blocks are added while too few are undisturbed.
        span_seconds: Over how much time the blocks are spread, in rounds with pauses between.
        block_ms: How long one block runs at least; clocks and calls must not show.
        warmup_ms: How long a network runs at least before the first block; it goes on, up to ten
            times as long, until its blocks agree to 1 %.
        limit_seconds: Time limit for each of compiling, checking and timing one network.
        num_single_runs: How many inferences are timed one by one, for percentiles; fewer of slow
            networks, so that they take a second at most.
        max_attempts: How often an unstable timing is repeated before it is given as it is.
        cpus: The processors to pin the worker's threads to while it times, one each; empty for
            the best free ones (``lease``), on cores of their own as far as there are.
    """

    num_blocks: int = 40
    max_seconds: float = 6.0
    span_seconds: float = 2.5
    block_ms: float = 10.0
    warmup_ms: float = 50.0
    limit_seconds: float = 120.0
    num_single_runs: int = 400
    max_attempts: int = 2
    cpus: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or self.num_blocks < 3:
            raise BadArgument(
                "`max_attempts >= 1` and `num_blocks >= 3` must hold, "
                f"got {self.max_attempts} and {self.num_blocks}"
            )
        times = (self.block_ms, self.max_seconds, self.limit_seconds)
        others = (self.warmup_ms, self.span_seconds, self.num_single_runs)
        if min(times) <= 0 or min(others) < 0:
            raise BadArgument(
                "`block_ms`, `max_seconds` and `limit_seconds` must be positive, `warmup_ms`, "
                "`span_seconds` and `num_single_runs` not negative for measuring to make sense, "
                f"got {times} and {others}"
            )

    @classmethod
    def brief(cls) -> Self:
        """Return settings for one of many candidates, which are compared and picked, not quoted.

        A short timing sees fewer of the slow spells that come and go in seconds; what is picked
        is measured again, at length.
        """
        return cls(max_seconds=1.2, span_seconds=0.6, num_single_runs=0, max_attempts=1)

    @property
    def timing(self) -> TimingSettings:
        """What the timing itself has to know."""
        return TimingSettings(
            **{one.name: getattr(self, one.name) for one in fields(TimingSettings)}
        )
