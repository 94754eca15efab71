"""Is what a search found better than anything simple? What evidence.json keeps of the answer.

All numbers are of test classes: nothing that chooses a network or a default may read them.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from cmpc_base.json_files import write_json
from cmpc_search.evaluation.judgement import Flips, PairAccuracy, Rule
from cmpc_search.evaluation.statistics import Estimate
from cmpc_search.runs.evaluation import ScoredQueries, SeenClasses
from cmpc_search.runs.folder import RunFolder

__all__ = ["Evidence", "EvidenceRow", "write_evidence"]

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class EvidenceRow:
    """One network beside the pick, or the pick itself.

    Attributes:
        row: Its kind: pick, paragon, or a baseline's name.
        name, words: What a table and a sentence call it.
        architecture: Its key, or what tells a hand-made network from others.
        start: What its training began with.
        macs: Counted from its graph; None where the gallery has no network.
        own, across: M(q, q) and M(q, g), means over the seeds; the paragon's own is M(g, g).
        rule: Whether M(q, g) > M(q, q) in top-1.
        flips: For each seed, what it answers otherwise than the gallery network alone.
        worth: Which of its accuracies is held against the pick's M(q, g).
        lead: By how much the pick's M(q, g) is above that in top-1, over the same queries.
        lead_alike: The same, of the pick's architecture begun with random weights as this was; None
            where the pick began alike, or that was not trained.
        error: Why there are no numbers.
    """

    row: str
    name: str
    words: str
    architecture: str | None = None
    start: str | None = None
    macs: int | None = None
    own: PairAccuracy | None = None
    across: PairAccuracy | None = None
    rule: Rule | None = None
    flips: tuple[Flips, ...] = ()
    worth: Literal["own", "across"] = "across"
    lead: Estimate | None = None
    lead_alike: Estimate | None = None
    error: str | None = None

    @property
    def worth_top1(self) -> Estimate | None:
        """The accuracy that is held against the pick's."""
        pair = self.own if self.worth == "own" else self.across
        return None if pair is None else pair.top1


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """Everything that `cmpc evidence` found.

    Attributes:
        num_steps: Of each training.
        seeds: With which each network was trained.
        kept_share: The pick's M(q, g) over the paragon's in top-1; None if that finds nothing.
        advantage: The pick's M(q, g) - M(q, q) in top-1.
        rows: The pick, the paragon, and the baselines.
        reward_tau: How the search's reward orders architectures as trainings of their own do, on
            validation classes; None where that was not asked for.
        num_ranked: How many architectures that is of.
    """

    run: str
    architecture: str
    seen_classes: SeenClasses
    queries: ScoredQueries
    num_steps: int
    seeds: tuple[int, ...]
    kept_share: Estimate | None
    advantage: Estimate
    rows: tuple[EvidenceRow, ...]
    reward: str
    reward_tau: Estimate | None = None
    num_ranked: int = 0

    @property
    def pick(self) -> EvidenceRow:
        return self.rows[0]

    @property
    def paragon(self) -> EvidenceRow:
        return self.rows[1]

    @property
    def best_random(self) -> EvidenceRow | None:
        """The random architecture that does best on the very classes it is held against."""
        found = [one for one in self.rows if one.row == "random" and one.worth_top1 is not None]
        return max(found, key=_top1, default=None)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        best = self.best_random
        return {
            "schema_version": SCHEMA_VERSION,
            **json.loads(_EVIDENCE.dump_json(self)),
            "best_random": None if best is None else best.name,
        }


_EVIDENCE = TypeAdapter(Evidence)


def write_evidence(run: RunFolder, found: Evidence) -> None:
    """Write evidence.json."""
    write_json(run.evidence_path, found.to_json())


def _top1(row: EvidenceRow) -> float:
    return 0.0 if row.worth_top1 is None else row.worth_top1.value
