"""What trained networks and the pick found for the same test queries, held against each other.

Differences are paired: over the same queries, and the same seeds where there are several.

Shapes: S seeds, Q queries.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmpc_search.evaluation.judgement import judge
from cmpc_search.evaluation.outcomes import TOP1, SeedResult, outcomes_of
from cmpc_search.evaluation.statistics import compare
from cmpc_search.runs.evidence import EvidenceRow
from cmpc_search.stages.baselines.base import Baseline

__all__ = ["Contender", "compared", "failed_row", "paragon_row"]

Outcomes = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Contender:
    """A network that was trained and judged with each seed."""

    baseline: Baseline
    macs: int
    results: tuple[SeedResult, ...]

    @property
    def worth(self) -> Outcomes:
        """Top-1 of each query, float64 [S, Q], in M(q, g); in M(q, q) if it fits no gallery."""
        pair = "heterogeneous" if self.baseline.is_compatible else "homogeneous"
        return top1_outcomes(self.results, pair)


def compared(pick: Contender, others: Sequence[Contender]) -> list[EvidenceRow]:
    """Return the rows of the pick and of all others, in their order."""
    alike = next((one for one in others if one.baseline.row == "from-scratch"), None)
    return [_row(pick, pick, None), *(_row(one, pick, alike) for one in others)]


def paragon_row(pick: Contender, macs: int | None) -> EvidenceRow:
    """Return the row of the gallery network on both sides, which each seed is held against."""
    found = top1_outcomes(pick.results[:1], "paragon")
    return EvidenceRow(
        row="paragon",
        name="paragon M(g,g)",
        words="the paragon",
        macs=macs,
        own=judge(pick.results).mean.paragon,
        worth="own",
        lead=compare(pick.worth, found),
    )


def failed_row(baseline: Baseline, error: Exception) -> EvidenceRow:
    """Return the row of a network that could not be trained or judged."""
    return EvidenceRow(
        row=baseline.row,
        name=baseline.name,
        words=baseline.words,
        architecture=baseline.key,
        start=baseline.start,
        error=str(error),
    )


def top1_outcomes(results: Sequence[SeedResult], pair: str) -> Outcomes:
    """Return whether each query's nearest item is right, float64 [S, Q]."""
    return np.stack([outcomes_of(one.ranks(pair))[:, TOP1] for one in results])


def _row(one: Contender, pick: Contender, alike: Contender | None) -> EvidenceRow:
    judgement, baseline = judge(one.results), one.baseline
    began_otherwise = baseline.start != pick.baseline.start and one is not alike
    return EvidenceRow(
        row=baseline.row,
        name=baseline.name,
        words=baseline.words,
        architecture=baseline.key,
        start=baseline.start,
        macs=one.macs,
        own=judgement.mean.homogeneous,
        across=judgement.mean.heterogeneous,
        rule=judgement.rule,
        flips=judgement.flips,
        worth="across" if baseline.is_compatible else "own",
        lead=None if one is pick else compare(pick.worth, one.worth),
        lead_alike=compare(alike.worth, one.worth) if alike and began_otherwise else None,
    )
