"""What the rows of an Optuna study mean to us, and the only code that writes them.

A trial's life, each arrow one commit, so that a kill between any two leaves a state with a name:

    ask -> "architecture" -> "worker" -> (scoring) -> constraints -> "score" -> tell
     |      '--------- owner dead: queued again, row FAIL ---------'    '- owner dead: told as is
     '- owner dead: nothing was decided, row FAIL

A trial with a score is finished, whatever its Optuna state. A failed candidate, and one whose cost
nobody knows, are told as FAIL: samplers skip those rows, so NSGA-II's population holds real values
only. Every method that writes, but `record`, needs the turn, see ``coordination``.
"""

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from cmpc_search.errors import BadRun
from cmpc_search.space.base import Architecture, Space
from cmpc_search.study.coordination.base import Worker
from cmpc_search.study.encoding import Encoding
from cmpc_search.study.gate import Gate
from cmpc_search.study.progress import Counts
from cmpc_search.study.records import Candidate, CandidateScore
from cmpc_search.study.settings import StudySettings, cost_of

__all__ = ["Ledger", "Standing", "read_candidates"]

LIVE = (TrialState.WAITING, TrialState.RUNNING)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A study at one moment; ``known`` are the architectures finished, queued or at work."""

    counts: Counts
    candidates: tuple[Candidate, ...]
    known: frozenset[str]


class Ledger:
    """One process' view of a shared study."""

    def __init__(
        self, study: optuna.Study, space: Space, settings: StudySettings, worker: Worker
    ) -> None:
        self._study = study
        self._space = space
        self._encoding = Encoding(space)
        self._settings = settings
        self._worker = worker
        self._scores: dict[int, CandidateScore] = {}

    def start_session(self) -> int:
        """Return how many processes came before this one, after a look at what they searched."""
        choices = {choice.name: list(choice.options) for choice in self._space.choices}
        meaning = {"choices": choices, "cost": self._settings.cost}
        stored = self._study.user_attrs.get("meaning", meaning)
        # Studies of older versions don't tell their choices; those are in their run's settings.
        _check_same(stored.get("choices", choices), choices)
        _check_same({"cost": stored.get("cost")}, {"cost": self._settings.cost})
        session = int(self._study.user_attrs.get("sessions", 0))
        self._study.set_user_attr("meaning", meaning)
        self._study.set_user_attr("sessions", session + 1)
        return session

    def settle(self) -> Standing:
        """Settle what dead processes left, and return where the study stands then.

        What was scored is told, the rest is queued again. The rows are read once, and again only
        if somebody died.
        """
        rows = self._rows()
        if dead := {row.number for row in rows if self._is_left_by_the_dead(row)}:
            # Read again: an owner may have stored its score after the first reading and died before
            # we looked for it. What the dead left can't change any more.
            self._settle_rows(self._rows(), dead)
            rows = self._rows()
        return self._standing(rows)

    def _settle_rows(self, rows: list[FrozenTrial], dead: Set[int]) -> None:
        queued = {_architecture(row) for row in rows if row.state == TrialState.WAITING}
        for row in rows:
            if row.number not in dead or row.state != TrialState.RUNNING:
                continue
            if _is_scored(row):
                self._tell(row.number, self._score(row))
                continue
            key = _architecture(row)
            if key is not None and key not in queued:
                params = self._encoding.to_params(self._space.read(key))
                self._study.enqueue_trial(params, user_attrs={"architecture": key})
                queued.add(key)
            self._study.tell(row.number, state=TrialState.FAIL)

    def ask(self) -> tuple[Trial, Architecture]:
        """Return the next trial, a queued one first."""
        trial = self._study.ask(self._encoding.distributions)
        return trial, self._encoding.from_params(trial.params)

    def claim(self, trial: Trial, architecture: Architecture, gate: Gate) -> None:
        """Note what the trial is and who scores it; the order is that of the drawing above."""
        trial.set_user_attr("redraws", [gate.reused, gate.over_budget])
        trial.set_user_attr("architecture", architecture.key)
        trial.set_user_attr("worker", self._worker.name)

    def record(self, trial: Trial, score: CandidateScore) -> Candidate:
        """Store what scoring gave, then let the sampler know."""
        score = _checked(score, self._settings)
        if score.is_comparable:
            for name, excess in self._settings.budget.excess(score).items():
                trial.set_constraint(name, excess)
        trial.set_user_attr("score", score.to_json())
        self._tell(trial.number, score)
        return Candidate(number=trial.number, score=score)

    def _standing(self, rows: list[FrozenTrial]) -> Standing:
        candidates = tuple(
            Candidate(number=row.number, score=self._score(row)) for row in rows if _is_scored(row)
        )
        redraws = [row.user_attrs.get("redraws", (0, 0)) for row in rows]
        is_within = self._settings.budget.is_met_by
        counts = Counts(
            finished=len(candidates),
            feasible=sum(each.score.is_comparable and is_within(each.score) for each in candidates),
            failed=sum(each.score.error is not None for each in candidates),
            unknown=sum(bool(each.score.unknown_reasons) for each in candidates),
            reused=sum(reused for reused, _ in redraws),
            over_budget=sum(over_budget for _, over_budget in redraws),
            running=sum(row.state == TrialState.RUNNING and not _is_scored(row) for row in rows),
        )
        known = (_architecture(row) for row in rows if _is_scored(row) or row.state in LIVE)
        return Standing(
            counts=counts,
            candidates=candidates,
            known=frozenset(key for key in known if key is not None),
        )

    def _is_left_by_the_dead(self, row: FrozenTrial) -> bool:
        owner: str | None = row.user_attrs.get("worker")
        is_owned = owner is not None and self._worker.is_alive(owner)
        return row.state == TrialState.RUNNING and not is_owned

    def _tell(self, number: int, score: CandidateScore) -> None:
        if not score.is_comparable:
            self._study.tell(number, state=TrialState.FAIL)
            return
        cost = cost_of(score, self._settings.cost)
        assert score.reward is not None, "what can be compared has a reward: see _checked"
        assert cost is not None, "what can be compared has a cost: see _checked"
        # The logarithm, so that a front is spread over factors of cost, the cheap end as well.
        self._study.tell(number, [score.reward, math.log(cost)])

    def _score(self, row: FrozenTrial) -> CandidateScore:
        """Return the score of a row, which no process ever changes, so it is parsed once."""
        if row.number not in self._scores:
            self._scores[row.number] = _parsed_score(row)
        return self._scores[row.number]

    def _rows(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)


def read_candidates(study: optuna.Study) -> tuple[Candidate, ...]:
    """Return every recorded result of a study by trial number, for those who only look."""
    rows = study.get_trials(deepcopy=False)
    return tuple(
        Candidate(number=row.number, score=_parsed_score(row)) for row in rows if _is_scored(row)
    )


def _check_same(before: Mapping[str, object], now: Mapping[str, object]) -> None:
    for name in {**before, **now}:
        if before.get(name) != now.get(name):
            raise BadRun(
                f"a study must keep its {name}: this one was begun with {before.get(name)}, "
                f"got {now.get(name)}; take another folder or start it afresh"
            )


def _is_scored(row: FrozenTrial) -> bool:
    return "score" in row.user_attrs


def _architecture(row: FrozenTrial) -> str | None:
    key: str | None = row.user_attrs.get("architecture")
    return key


def _parsed_score(row: FrozenTrial) -> CandidateScore:
    return CandidateScore.from_json(row.user_attrs["score"])


def _checked(score: CandidateScore, settings: StudySettings) -> CandidateScore:
    """Return the score, or a failed one where its numbers can't be compared."""
    if not score.is_comparable:
        return score
    cost = cost_of(score, settings.cost)
    for name, value in ((f"reward {score.reward_name}", score.reward), (settings.cost, cost)):
        if value is None or not math.isfinite(value):
            return replace(score, error=f"the {name} must be a finite number, got {value}")
    if cost is not None and cost <= 0:
        return replace(score, error=f"the {settings.cost} must be positive, got {cost}")
    return score
