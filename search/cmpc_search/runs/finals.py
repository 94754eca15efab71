"""What is found out of a run's best candidates after its search, kept beside the study.

    finalists/ARCHITECTURE/score.json   what a training of its own made of a finalist
    front_costs.json                    what the front costs where all of it was measured together

The study keeps what the search saw: each latency of a candidate alone, at its time.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from cmpc_base.json_files import write_json
from cmpc_search.errors import BadRun
from cmpc_search.json_records import read_record
from cmpc_search.runs.folder import RunFolder
from cmpc_search.study.front import pareto_front
from cmpc_search.study.records import Candidate, TrainedScore
from cmpc_search.study.settings import Budget, CostName

__all__ = ["Standing", "read_standing", "trained_score", "write_front_costs", "write_trained_score"]

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where the candidates of a run stand, with all that is known of them.

    Attributes:
        candidates: All, by trial number; those that were measured together with what that gave.
        contenders: Those that the front is of: their latencies may be compared.
        front: Cheapest first.
        is_measured_together: Whether the latencies of the front are of one measurement.
    """

    candidates: tuple[Candidate, ...]
    contenders: tuple[Candidate, ...]
    front: tuple[Candidate, ...]
    is_measured_together: bool

    @property
    def finalists(self) -> tuple[Candidate, ...]:
        """The contenders that were trained on their own."""
        return tuple(one for one in self.contenders if one.trained is not None)


def read_standing(
    run: RunFolder, searched: Sequence[Candidate], *, cost: CostName, budget: Budget
) -> Standing:
    """Add what is kept in the run to what its search found.

    Latencies of one measurement together count where it holds the whole front of the search and
    all that were trained.

    Raises:
        BadRun: a file is damaged, or of another version.
    """
    known = [replace(one, trained=trained_score(run, one.score.architecture)) for one in searched]
    front = pareto_front(known, cost=cost, budget=budget)
    again = {one.number: one.score for one in _front_costs(run)}
    together = [replace(one, score=again[one.number]) for one in known if one.number in again]
    wanted = {one.number for one in (*front, *(one for one in known if one.trained))}
    is_whole = bool(together) and wanted <= again.keys()
    contenders = together if is_whole else known
    merged = {one.number: one for one in (*known, *contenders)}
    return Standing(
        candidates=tuple(merged[one.number] for one in known),
        contenders=tuple(contenders),
        front=pareto_front(contenders, cost=cost, budget=budget),
        is_measured_together=is_whole,
    )


def write_trained_score(run: RunFolder, architecture: str, found: TrainedScore) -> None:
    """Keep what came of a finalist."""
    path = run.finalist_path(architecture) / "score.json"
    write_json(path, {"schema_version": SCHEMA_VERSION, "trained": asdict(found)})


def trained_score(run: RunFolder, architecture: str) -> TrainedScore | None:
    """Return what came of a finalist; None of one that is not trained.

    Raises:
        BadRun: the file is damaged, or of another version.
    """
    path = run.finalist_path(architecture) / "score.json"
    return read_record(path, _Trained, error=BadRun).trained if path.exists() else None


def write_front_costs(run: RunFolder, measured: Sequence[Candidate]) -> None:
    """Keep candidates with the costs of one measurement together."""
    rows = [{"number": one.number, "score": one.score.to_json()} for one in measured]
    write_json(run.front_costs_path, {"schema_version": SCHEMA_VERSION, "measured": rows})


def _front_costs(run: RunFolder) -> tuple[Candidate, ...]:
    path = run.front_costs_path
    return read_record(path, _FrontCosts, error=BadRun).measured if path.exists() else ()


@dataclass(frozen=True, slots=True)
class _Trained:
    """What score.json holds."""

    trained: TrainedScore


@dataclass(frozen=True, slots=True)
class _FrontCosts:
    """What front_costs.json holds."""

    measured: tuple[Candidate, ...]
