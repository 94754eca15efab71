"""The results of a run as files: a table of its trials, its front and what was picked from it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cmpc_base.files import write_text
from cmpc_base.json_files import write_json
from cmpc_search.errors import BadRun
from cmpc_search.json_records import read_record
from cmpc_search.runs.folder import RunFolder
from cmpc_search.study.records import Accuracy, Candidate, CandidateScore
from cmpc_search.study.settings import NO_BUDGET, Budget, CostName

__all__ = ["candidate_json", "read_pick", "write_front", "write_pick", "write_trials"]

SCHEMA_VERSION = 1


def write_trials(run: RunFolder, candidates: Sequence[Candidate], *, budget: Budget) -> None:
    """Write trials.csv: a row for each candidate, an empty cell where nothing is known."""
    rows = [_row(candidate, budget) for candidate in candidates]
    names = list(_row(_NOBODY, NO_BUDGET))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    write_text(run.trials_path, text.getvalue())


def write_front(
    run: RunFolder, front: Sequence[Candidate], *, cost: CostName, budget: Budget
) -> None:
    """Write front.json, cheapest first."""
    document = _asked(cost, budget) | {"front": [candidate_json(candidate) for candidate in front]}
    write_json(run.front_path, document)


def write_pick(
    run: RunFolder, candidate: Candidate, *, how: str, cost: CostName, budget: Budget
) -> None:
    """Write pick.json: the candidate to train and ship, and how it was chosen."""
    document = _asked(cost, budget) | {"how": how, "pick": candidate_json(candidate)}
    write_json(run.pick_path, document)


def read_pick(run: RunFolder) -> Candidate:
    """Return the candidate that `write_pick` stored.

    Raises:
        BadRun: nothing was picked yet, or the file is damaged.
    """
    if not run.pick_path.exists():
        raise BadRun(f"a candidate must be picked first, got none in {run.path}; run `cmpc pareto`")
    return read_record(run.pick_path, _Pick, error=BadRun).pick


@dataclass(frozen=True, slots=True)
class _Pick:
    """What pick.json holds, beside how it was asked for."""

    pick: Candidate


def _asked(cost: CostName, budget: Budget) -> dict[str, Any]:
    limits = {"latency_ms": budget.latency_ms, "macs": budget.macs}
    return {"schema_version": SCHEMA_VERSION, "cost": cost, "budget": limits}


def candidate_json(candidate: Candidate) -> dict[str, Any]:
    """Return a candidate as JSON values, with what its own training gave if it had one."""
    trained = None if candidate.trained is None else asdict(candidate.trained)
    found = {"number": candidate.number, "score": candidate.score.to_json()}
    return found if trained is None else found | {"trained": trained}


def _row(candidate: Candidate, budget: Budget) -> dict[str, Any]:
    score = candidate.score
    latency = score.latency or {}
    return {
        "number": candidate.number,
        "architecture": score.architecture,
        "is_feasible": candidate.score.is_comparable and budget.is_met_by(score),
        "reward_name": score.reward_name,
        "reward": score.reward,
        **_accuracy("homogeneous", score.homogeneous),
        **_accuracy("heterogeneous", score.heterogeneous),
        "cosine": score.cosine,
        "trained_reward": None if candidate.trained is None else candidate.trained.reward,
        "macs": score.macs,
        "parameters": score.parameters,
        "latency_ms": score.latency_ms,
        "latency_source": latency.get("source"),
        "latency_not_observed": "; ".join(latency.get("not_observed", ())) or None,
        "latency_spread_ms": latency.get("spread"),
        "latency_is_stable": None if score.latency is None else not score.unstable_reasons,
        "artefact_sha256": latency.get("artefact_sha256"),
        "seconds": score.seconds,
        "unknown_reasons": "; ".join(score.unknown_reasons) or None,
        "error": score.error,
    }


def _accuracy(side: str, accuracy: Accuracy | None) -> dict[str, float | None]:
    return {
        f"{side}_top1": None if accuracy is None else accuracy.top1,
        f"{side}_top10": None if accuracy is None else accuracy.top10,
        f"{side}_map": None if accuracy is None else accuracy.mean_average_precision,
        f"{side}_mrr": None if accuracy is None else accuracy.mean_reciprocal_rank,
    }


_NOBODY = Candidate(number=0, score=CandidateScore(architecture="", reward_name=""))
