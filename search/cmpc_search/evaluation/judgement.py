"""What the ranks of trained networks say: accuracies with intervals, the rule, what is kept.

The rule of CMP-NAS (Duggal et al., CVPR 2021), M(q, g) > M(q, q), is judged by the interval of the
difference over the same queries, which may leave it open.

Shapes: S seeds, P pairs of networks, Q queries.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cmpc_kernels import QueryRanks
from cmpc_search.evaluation.outcomes import PAIRS, TOP1, SeedResult, outcomes_of
from cmpc_search.evaluation.statistics import Estimate, Sampled, resample

__all__ = [
    "MIN_QUERIES_TO_JUDGE",
    "Flips",
    "Judgement",
    "PairAccuracy",
    "Rule",
    "SeedAccuracy",
    "judge",
    "judge_pair",
    "told_from",
]

MIN_QUERIES_TO_JUDGE = 20
"""With fewer, a resample holds too few different queries for its interval to mean what it says."""

Rule = Literal["holds", "does not hold", "can't be told"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PairAccuracy:
    """How well one pair of networks retrieves."""

    top1: Estimate
    top10: Estimate
    mean_average_precision: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedAccuracy:
    """How one trained query network retrieves, and the gallery network beside it.

    Attributes:
        seed: None for the mean over seeds.
        paragon: M(g, g), homogeneous: M(q, q), heterogeneous: M(q, g).
    """

    seed: int | None
    paragon: PairAccuracy
    homogeneous: PairAccuracy
    heterogeneous: PairAccuracy


@dataclass(frozen=True, kw_only=True, slots=True)
class Flips:
    """How many queries one trained network answers otherwise than the gallery network alone.

    Attributes:
        negative: Those that M(g, g) answers rightly, and M(q, g) does not (Yan et al., CVPR 2021).
        positive: Those that only M(q, g) answers rightly.
    """

    seed: int
    negative: int
    positive: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What the ranks of all seeds say together.

    Attributes:
        seeds: Each trained network.
        mean: The mean over them of each query's outcome.
        num_queries: How many queries all of it is a mean over.
        advantage: M(q, g) - M(q, q) in top-1, of the mean.
        kept_share: M(q, g) over the paragon in top-1, of the mean; None if the paragon finds
            nothing.
        flips: For each trained network, the queries it answers otherwise, by the nearest item.
    """

    seeds: tuple[SeedAccuracy, ...]
    mean: SeedAccuracy
    num_queries: int
    advantage: Estimate
    kept_share: Estimate | None
    flips: tuple[Flips, ...] = ()

    @property
    def rule(self) -> Rule:
        """Whether M(q, g) > M(q, q) in top-1, as far as these queries can tell."""
        return told_from(self.advantage, self.num_queries)


def told_from(difference: Estimate, num_queries: int) -> Rule:
    """Say whether a difference between two accuracies is above 0, as far as queries can tell."""
    if num_queries < MIN_QUERIES_TO_JUDGE:
        return "can't be told"
    if difference.low > 0:
        return "holds"
    return "does not hold" if difference.high < 0 else "can't be told"


def judge(judged: Sequence[SeedResult]) -> Judgement:
    """Return the accuracies of seeds whose ranks are of the same queries, with intervals."""
    outcomes_SPQ4 = np.stack([[outcomes_of(one.ranks(pair)) for pair in PAIRS] for one in judged])
    by_seed = resample(np.moveaxis(outcomes_SPQ4, 2, 0))
    mean = by_seed.mean()
    top1 = {pair: mean[position, TOP1] for position, pair in enumerate(PAIRS)}
    has_paragon = top1["paragon"].value > 0
    return Judgement(
        seeds=tuple(
            _seed_accuracy(one.seed, by_seed[position]) for position, one in enumerate(judged)
        ),
        mean=_seed_accuracy(None, mean),
        num_queries=outcomes_SPQ4.shape[2],
        advantage=(top1["heterogeneous"] - top1["homogeneous"]).difference,
        kept_share=_kept(top1["heterogeneous"], top1["paragon"]) if has_paragon else None,
        flips=tuple(map(_flips, judged)),
    )


def _flips(one: SeedResult) -> Flips:
    """Compare what the gallery network alone finds with what the query network finds in it."""
    before, after = one.ranks("paragon").best_ranks <= 1, one.ranks("heterogeneous").best_ranks <= 1
    return Flips(
        seed=one.seed, negative=int((before & ~after).sum()), positive=int((after & ~before).sum())
    )


def _kept(found: Sampled, paragon: Sampled) -> Estimate:
    """Return the ratio; where all queries agree on it, a share of others may still differ."""
    ratio = (found / paragon).estimate
    if ratio.low < ratio.high:
        return ratio
    hidden = found.hidden_share / float(paragon.value)
    return replace(ratio, low=max(0.0, ratio.value - hidden), high=ratio.value + hidden)


def judge_pair(ranks: QueryRanks) -> PairAccuracy:
    """Return the accuracies of one pair of networks with their intervals."""
    return _pair_accuracy(resample(outcomes_of(ranks)))


def _seed_accuracy(seed: int | None, found: Sampled) -> SeedAccuracy:
    """Read means [P, 4] of the pairs in `PAIRS`."""
    pairs = {pair: _pair_accuracy(found[position]) for position, pair in enumerate(PAIRS)}
    return SeedAccuracy(seed=seed, **pairs)


def _pair_accuracy(found: Sampled) -> PairAccuracy:
    """Read means [4] of what `outcomes_of` gives."""
    top1, top10, mean_average_precision = (found[position].share for position in range(3))
    return PairAccuracy(top1=top1, top10=top10, mean_average_precision=mean_average_precision)
