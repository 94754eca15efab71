"""What a study is asked to do: how many trials, which sampler, which cost, within what budget.

The cost named here is the one that the study minimises. Both budgets may be set with either cost;
a budget in MACs is exact before any work, so architectures over it are never scored.
"""

import math
from dataclasses import dataclass
from typing import Literal

from cmpc_search.errors import BadArgument
from cmpc_search.study.records import CandidateScore

__all__ = ["NO_BUDGET", "Budget", "CostName", "StudySettings", "cost_of"]

CostName = Literal["latency", "macs"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """The most a candidate may cost; None is no limit.

    Raises:
        BadArgument: a limit is not positive.
    """

    latency_ms: float | None = None
    macs: int | None = None

    def __post_init__(self) -> None:
        for name, limit in (("latency_ms", self.latency_ms), ("macs", self.macs)):
            if limit is not None and not (limit > 0 and math.isfinite(limit)):
                raise BadArgument(f"a budget must be positive and finite, got {name}={limit}")

    def excess(self, score: CandidateScore) -> dict[str, float]:
        """Return by how much of itself each limit is exceeded; 0 or less is within it.

        Relative, so that a sampler may add excesses of both limits. A cost that is not known
        counts as twice the limit: nobody has shown that it stays within it.
        """
        spent = {"latency_ms": (score.latency_ms, self.latency_ms), "macs": (score.macs, self.macs)}
        return {
            name: 1.0 if value is None else value / limit - 1.0
            for name, (value, limit) in spent.items()
            if limit is not None
        }

    def is_met_by(self, score: CandidateScore) -> bool:
        return all(excess <= 0 for excess in self.excess(score).values())


NO_BUDGET = Budget()


@dataclass(frozen=True, kw_only=True, slots=True)
class StudySettings:
    """How to search.

    Attributes:
        num_trials: Candidates to score in all, over every process and restart.
        sampler: A name in `cmpc_search.study.samplers.catalogue.SAMPLERS`.
        population: NSGA-II's population, and how many candidates are spread over the MACs before
            a sampler that learns is asked.
        seed: Where the proposals' randomness starts.
        cost: What is minimised beside the reward that is maximised.

    Raises:
        BadArgument: a number is out of its range, or the cost is unknown.
    """

    num_trials: int
    sampler: str = "nsga2"
    population: int = 20
    seed: int = 0
    cost: CostName = "latency"
    budget: Budget = NO_BUDGET

    @property
    def num_starts(self) -> int:
        """How many candidates are spread over the MACs first; chance, the yardstick, has none."""
        return 0 if self.sampler == "random" else self.population

    def __post_init__(self) -> None:
        if self.num_trials < 1:
            raise BadArgument(f"`num_trials >= 1` must hold, got {self.num_trials}")
        if self.population < 2:
            raise BadArgument(f"`population >= 2` must hold, got {self.population}")
        if self.seed < 0:
            raise BadArgument(f"`seed >= 0` must hold, got {self.seed}")
        if self.cost not in ("latency", "macs"):
            raise BadArgument(f"the cost must be 'latency' or 'macs', got {self.cost!r}")


def cost_of(score: CandidateScore, cost: CostName) -> float | None:
    """Return the cost that a study minimises, in ms or MACs, or None where it is not known."""
    return score.latency_ms if cost == "latency" else score.macs
