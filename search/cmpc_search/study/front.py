"""Which candidates are worth having, which are trained before one is picked, and which to keep.

The Pareto front holds the candidates within the budget that no other one beats in reward and cost
at once. It is computed on records, not on the study, so that another budget can be asked of a run
that is finished, and a report needs no Optuna.

Weights of a supernet tell good architectures from bad ones, not the best from the second best. So
a handful of them, the finalists, is trained on its own for a while, and picked from by the rewards
that these trainings gave.
"""

import math
import re
from collections.abc import Callable, Sequence

from cmpc_base.units import MMAC
from cmpc_search.errors import BadArgument, BudgetNotMet, CostUnknown, NothingScored
from cmpc_search.study.records import Candidate
from cmpc_search.study.settings import NO_BUDGET, Budget, CostName, cost_of

__all__ = ["PICKS", "choose_finalists", "pareto_front", "pick"]

PICKS = ("best", "fastest", "knee")
SHARE = re.compile(r"(\d{1,2}(?:\.\d+)?|100)%")
MOST_REASONS = 3  # of why a cost is unknown, in one message


def pareto_front(
    candidates: Sequence[Candidate], *, cost: CostName, budget: Budget = NO_BUDGET
) -> tuple[Candidate, ...]:
    """Return the candidates within ``budget`` that none dominates, cheapest first.

    By the rewards of the search, which all candidates have. Candidates equal in both numbers are
    all kept.
    """
    return _front(_feasible(candidates, budget), cost, _reward)


def choose_finalists(
    front: Sequence[Candidate], candidates: Sequence[Candidate], count: int, *, cost: CostName
) -> tuple[Candidate, ...]:
    """Return ``count`` candidates to train on their own, as many as there are, cheapest first.

    From the ``front``, as evenly over the logarithm of its costs as it has them, both ends among
    them; where it is shorter, those of the other ``candidates`` with the highest rewards too.

    Args:
        candidates: Those that may be picked: comparable, and within the budget.
    """
    chosen: list[Candidate] = []
    left = list(front)
    for place in _even_places([math.log(_cost(one, cost)) for one in front], count):
        nearest = min(left, key=lambda one: abs(math.log(_cost(one, cost)) - place))
        left.remove(nearest)
        chosen.append(nearest)
    others = [one for one in candidates if one.score.is_comparable and one not in front]
    best = sorted(others, key=_reward, reverse=True)[: count - len(chosen)]
    return tuple(sorted([*chosen, *best], key=lambda one: _cost(one, cost)))


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
            more cost begins to buy less. A share such as ``97%``: the cheapest that keeps so much
            of the best reward. A number: that trial. All but the last choose among the finalists
            within the budget, by the rewards of their own trainings, if there are any.

    Raises:
        BadArgument: ``how`` is none of these, or no scored trial has this number.
        BudgetNotMet: no candidate, or not the one asked for, stays within the budget.
        CostUnknown: of no candidate that did not fail can it be told what it costs.
        NothingScored: there is no candidate to choose from.
    """
    share = SHARE.fullmatch(how)
    if how not in PICKS and share is None:
        return _numbered(candidates, how, budget)
    feasible = _feasible(candidates, budget)
    finalists = [each for each in feasible if each.trained is not None]
    front = _front(finalists or feasible, cost, _final_reward)
    if not front:
        raise _nothing_to_pick(candidates, budget)
    if share is not None:
        best = max(map(_final_reward, front))
        least = best - (1 - float(share[1]) / 100) * abs(best)
        return next(each for each in front if _final_reward(each) >= least)
    if how == "fastest":
        return front[0]
    return _knee(front, cost) if how == "knee" else max(front, key=_final_reward)


def _feasible(candidates: Sequence[Candidate], budget: Budget) -> list[Candidate]:
    return [one for one in candidates if one.score.is_comparable and budget.is_met_by(one.score)]


def _front(
    feasible: Sequence[Candidate], cost: CostName, reward: Callable[[Candidate], float]
) -> tuple[Candidate, ...]:
    front: list[Candidate] = []
    for one in sorted(feasible, key=lambda one: (_cost(one, cost), -reward(one), one.number)):
        last = front[-1] if front else None
        is_equal = last and (reward(one), _cost(one, cost)) == (reward(last), _cost(last, cost))
        if last is None or reward(one) > reward(last) or is_equal:
            front.append(one)
    return tuple(front)


def _even_places(values: Sequence[float], count: int) -> list[float]:
    """Return up to ``count`` numbers, not more than ``values``, evenly from the last to the first.

    The last is the dearest, with the highest reward: of one finalist it is the one.
    """
    count = min(count, len(values))
    if count <= 1:
        return list(values[-1:])[:count]
    step = (values[-1] - values[0]) / (count - 1)
    return [values[-1] - number * step for number in range(count)]


def _knee(front: Sequence[Candidate], cost: CostName) -> Candidate:
    first, last = front[0], front[-1]
    cost_range = _cost(last, cost) - _cost(first, cost)
    reward_range = _final_reward(last) - _final_reward(first)

    def height(candidate: Candidate) -> float:
        spent = (_cost(candidate, cost) - _cost(first, cost)) / cost_range
        return (_final_reward(candidate) - _final_reward(first)) / reward_range - spent

    return max(front, key=height) if cost_range and reward_range else first


def _numbered(candidates: Sequence[Candidate], how: str, budget: Budget) -> Candidate:
    found = [each for each in candidates if each.score.is_comparable and str(each.number) == how]
    if not found:
        raise BadArgument(
            f"a pick must be one of {', '.join(PICKS)}, a share such as 97% or the number of a "
            f"scored trial, got {how!r}"
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


def _reward(candidate: Candidate) -> float:
    assert candidate.score.reward is not None, "a scored candidate has a reward"
    return candidate.score.reward


def _final_reward(candidate: Candidate) -> float:
    return _reward(candidate) if candidate.trained is None else candidate.trained.reward


def _cost(candidate: Candidate, cost: CostName) -> float:
    value = cost_of(candidate.score, cost)
    if value is None:
        raise BadArgument(
            f"a front by {cost} needs the {cost} of every candidate, "
            f"got none for trial {candidate.number}"
        )
    return value
