"""Which candidates are worth having, and which one to keep.

The Pareto front holds the candidates within the budget that no other one beats in reward and cost
at once. It is computed on records, not on the study, so that another budget can be asked of a run
that is finished, and a report needs no Optuna.
"""

from collections.abc import Sequence

from cmpc_base.units import MMAC
from cmpc_search.errors import BadArgument, BudgetNotMet, CostUnknown, NothingScored
from cmpc_search.study.records import Candidate
from cmpc_search.study.settings import NO_BUDGET, Budget, CostName, cost_of

__all__ = ["PICKS", "pareto_front", "pick"]

PICKS = ("best", "fastest", "knee")
MOST_REASONS = 3  # of why a cost is unknown, in one message


def pareto_front(
    candidates: Sequence[Candidate], *, cost: CostName, budget: Budget = NO_BUDGET
) -> tuple[Candidate, ...]:
    """Return the candidates within ``budget`` that none dominates, cheapest first.

    Candidates equal in both numbers are all kept.
    """
    feasible = [
        each for each in candidates if each.score.is_comparable and budget.is_met_by(each.score)
    ]
    feasible.sort(key=lambda each: (_cost(each, cost), -_reward(each), each.number))
    front: list[Candidate] = []
    for candidate in feasible:
        last = front[-1] if front else None
        if last is None or _reward(candidate) > _reward(last) or _equal(candidate, last, cost):
            front.append(candidate)
    return tuple(front)


def pick(
    candidates: Sequence[Candidate],
    how: str = "best",
    *,
    cost: CostName,
    budget: Budget = NO_BUDGET,
) -> Candidate:
    """Return the candidate to keep.

    Args:
        how: ``best``: the highest reward within the budget. ``fastest``: the lowest cost.
            ``knee``: the point of the front farthest above the line between its two ends, where
            more cost begins to buy less. A number: that trial.

    Raises:
        BadArgument: ``how`` is none of these, or no scored trial has this number.
        BudgetNotMet: no candidate, or not the one asked for, stays within the budget.
        CostUnknown: of no candidate that did not fail can it be told what it costs.
        NothingScored: there is no candidate to choose from.
    """
    if how not in PICKS:
        return _numbered(candidates, how, budget)
    front = pareto_front(candidates, cost=cost, budget=budget)
    if not front:
        raise _nothing_to_pick(candidates, budget)
    if how == "fastest":
        return front[0]
    return _knee(front, cost) if how == "knee" else max(front, key=_reward)


def _knee(front: Sequence[Candidate], cost: CostName) -> Candidate:
    first, last = front[0], front[-1]
    cost_range = _cost(last, cost) - _cost(first, cost)
    reward_range = _reward(last) - _reward(first)

    def height(candidate: Candidate) -> float:
        spent = (_cost(candidate, cost) - _cost(first, cost)) / cost_range
        return (_reward(candidate) - _reward(first)) / reward_range - spent

    return max(front, key=height) if cost_range and reward_range else first


def _numbered(candidates: Sequence[Candidate], how: str, budget: Budget) -> Candidate:
    found = [each for each in candidates if each.score.is_comparable and str(each.number) == how]
    if not found:
        raise BadArgument(
            f"a pick must be one of {', '.join(PICKS)} or the number of a scored trial, got {how!r}"
        )
    if not budget.is_met_by(found[0].score):
        raise BudgetNotMet(f"the pick must stay within {_text(budget)}; {_spent(found[0])}")
    return found[0]


def _nothing_to_pick(candidates: Sequence[Candidate], budget: Budget) -> Exception:
    scored = [each for each in candidates if each.score.is_comparable]
    unknown = [each.score for each in candidates if each.score.unknown_reasons]
    if not scored and unknown:
        return CostUnknown(
            f"a candidate must have a known latency to be picked, and none of "
            f"{len(candidates)} has: {'; '.join(unknown[-1].unknown_reasons[:MOST_REASONS])}; "
            "measure on a device, search by MACs, or take a space without these operators"
        )
    if not scored:
        errors = [each.score.error for each in candidates]
        said = f"; the last of {len(errors)} failed with: {errors[-1]}" if errors else ""
        return NothingScored(f"a run must have a scored candidate to pick from, got none{said}")
    nearest = min(scored, key=lambda each: max(budget.excess(each.score).values()))
    return BudgetNotMet(
        f"a candidate must stay within {_text(budget)}, and none of {len(scored)} does; "
        f"{_spent(nearest)} and is the nearest: raise the budget, or search on with more trials"
    )


def _spent(candidate: Candidate) -> str:
    score = candidate.score
    latency = "an unknown latency" if score.latency_ms is None else f"{score.latency_ms:.3f} ms"
    macs = "MACs not counted" if score.macs is None else f"{score.macs / MMAC:.4g} MMACs"
    return f"trial {candidate.number} takes {latency} and {macs}"


def _text(budget: Budget) -> str:
    limits = (
        None if budget.latency_ms is None else f"{budget.latency_ms:g} ms",
        None if budget.macs is None else f"{budget.macs / MMAC:g} MMACs",
    )
    return " and ".join(limit for limit in limits if limit is not None) or "no limit"


def _equal(one: Candidate, other: Candidate, cost: CostName) -> bool:
    return (_reward(one), _cost(one, cost)) == (_reward(other), _cost(other, cost))


def _reward(candidate: Candidate) -> float:
    assert candidate.score.reward is not None, "a scored candidate has a reward"
    return candidate.score.reward


def _cost(candidate: Candidate, cost: CostName) -> float:
    value = cost_of(candidate.score, cost)
    if value is None:
        raise BadArgument(
            f"a front by {cost} needs the {cost} of every candidate, "
            f"got none for trial {candidate.number}"
        )
    return value
