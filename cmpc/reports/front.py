"""How a run's front reads: a table for people, a document for programs, a picture."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cmpc.output import make_table, plain
from cmpc.reports.base import Report
from cmpc_base.units import MMAC
from cmpc_search.runs import RunFolder
from cmpc_search.runs.finals import Standing
from cmpc_search.runs.results import candidate_json
from cmpc_search.study.progress import StudySummary
from cmpc_search.study.records import Candidate
from cmpc_search.study.settings import Budget, CostName, cost_of

if TYPE_CHECKING:
    from PIL import Image
    from rich.table import Table

    from cmpc.pictures import CostAxis
    from cmpc_search.stages.picking import PickResult
    from cmpc_search.stages.searching import SearchResult

__all__ = [
    "front_document",
    "front_image",
    "front_table",
    "pick_report",
    "pick_sentence",
    "search_report",
    "search_sentences",
    "standing_sentences",
    "unstable_trials",
]

Z_95 = 1.96  # standard errors on either side of a mean; that of a share is 0.5 / sqrt(n) at most
COLUMNS = (
    "trial",
    "supernet reward",
    "trained reward",
    "supernet M(q,q) top-1",
    "supernet M(q,g) top-1",
    "trained M(q,g) top-1",
    "MMAC counted",
    "latency ms",
    "source",
    "architecture",
)


def search_report(found: "SearchResult") -> Report:
    """Tell of a search: its front, and what came of its candidates."""
    counts = found.summary.counts
    more = {"counts": plain(counts), "validation": found.validation}
    return Report(
        document=front_document(found.run, found.standing) | more,
        tables=(front_table(found.standing),),
        sentences=(
            *search_sentences(found.summary, len(found.front)),
            *standing_sentences(found.standing),
        ),
        doubts=tuple(unstable_trials(found.front)),
    )


def pick_report(found: "PickResult") -> Report:
    """Tell of a run's front and of the pick from it."""
    return Report(
        document=front_document(found.run, found.standing) | {"pick": found.picked.number},
        tables=(front_table(found.standing),),
        sentences=(
            *standing_sentences(found.standing),
            pick_sentence(found.picked, found.proposed, found.how),
        ),
    )


def front_table(standing: Standing) -> "Table":
    """Show the front and the finalists that are not on it, cheapest first.

    A latency that may not be trusted carries a mark.
    """
    shown = {one.number: one for one in (*standing.front, *standing.finalists)}
    costs = {one.number: (one.score.latency_ms or 0, one.score.macs or 0) for one in shown.values()}
    rows = [_row(shown[number]) for number in sorted(shown, key=costs.__getitem__)]
    return make_table(COLUMNS, rows, title=_title(standing.front))


def front_document(run: RunFolder, standing: Standing) -> dict[str, object]:
    """Return the front and the finalists as JSON values."""
    return {
        "run": run.path,
        "front": [candidate_json(one) for one in standing.front],
        "finalists": [candidate_json(one) for one in standing.finalists],
        "is_measured_together": standing.is_measured_together,
    }


def standing_sentences(standing: Standing) -> Iterator[str]:
    """Yield what a front's table doesn't show: how its costs came about, and what was trained."""
    if standing.is_measured_together:
        yield "latencies of the front: measured again together, in turn, in a process of their own"
    if trained := [one.trained for one in standing.finalists if one.trained is not None]:
        yield (
            f"{len(trained)} finalists were trained on their own for {trained[0].num_steps} steps; "
            "the pick is one of them"
        )


def front_image(
    standing: Standing, picked: Candidate, *, cost: CostName, budget: Budget
) -> "Image.Image":
    """Draw every scored candidate, the front and the pick."""
    from cmpc.pictures import FrontPoint, front_picture

    on_front = {one.number for one in standing.front}
    scored = [one for one in standing.candidates if one.score.is_comparable]
    scale = 1.0 if cost == "latency" else MMAC
    points = [
        FrontPoint(
            cost=(cost_of(one.score, cost) or 0.0) / scale,
            reward=one.score.reward or 0.0,
            is_on_front=one.number in on_front,
            is_pick=one.number == picked.number,
        )
        for one in scored
    ]
    title = f"{len(scored)} candidates, {len(on_front)} on the front"
    return front_picture(
        points, _axis(scored, cost, budget), reward_name=_reward_axis(picked), title=title
    )


def unstable_trials(front: Sequence[Candidate]) -> list[str]:
    """Name the candidates of a front whose measured latency may not be trusted."""
    return [
        f"trial {one.number}: {'; '.join(one.score.unstable_reasons)}"
        for one in front
        if one.score.unstable_reasons
    ]


def search_sentences(summary: StudySummary, num_on_front: int) -> Iterator[str]:
    """Yield what is to be said of a search when this process has nothing more to do."""
    counts = summary.counts
    if summary.stopped_early:
        yield summary.stopped_early
    yield (
        f"{counts.finished} candidates: {counts.feasible} within the budget, {counts.failed} "
        f"failed, {counts.unknown} of unknown cost; {num_on_front} on the front"
    )
    scores = [one.score for one in summary.candidates if one.score.is_comparable]
    rewards = [score.reward for score in scores if score.reward is not None]
    if len(rewards) > 1 and len(set(rewards)) == 1:
        yield (
            f"all {len(rewards)} candidates have a reward of {rewards[0]:.4g}: it can't tell them "
            "apart, so the cheapest leads; validate on more classes and images"
        )
    if counts.reused or counts.over_budget:
        yield (
            f"drawn again before they were scored: {counts.reused} proposals that were known "
            f"and {counts.over_budget} over the budget in MACs"
        )
    if counts.running:
        yield (
            f"other processes are at work on {counts.running} candidates, and this is the front "
            "without them: `cmpc search` once more, or `cmpc pareto`, shows all when they are done"
        )


def pick_sentence(picked: Candidate, proposed: Candidate, how: str | None) -> str:
    """Say which candidate is the pick, and whether a better one is there."""
    name = f"trial {picked.number}: {picked.score.architecture}"
    if how is not None:
        return f"picked ({how}) {name}"
    if proposed.number == picked.number:
        return f"the pick is {name}"
    return f"the pick is {name}; the best is now trial {proposed.number}, --pick best takes it"


def _axis(scored: Sequence[Candidate], cost: CostName, budget: Budget) -> "CostAxis":
    from cmpc.pictures import CostAxis

    if cost == "macs":
        limit = None if budget.macs is None else budget.macs / MMAC
        return CostAxis(name="arithmetic", unit="MMAC", source="counted", budget=limit)
    sources = sorted({str((one.score.latency or {}).get("source")) for one in scored})
    return CostAxis(
        name="latency", unit="ms", source=" or ".join(sources), budget=budget.latency_ms
    )


def _reward_axis(picked: Candidate) -> str:
    accuracy = picked.score.heterogeneous
    count = None if accuracy is None else accuracy.num_queries
    over = "on validation classes" if count is None else f"over {count} validation queries"
    return f"reward {over} ({picked.score.reward_name})"


def _title(front: Sequence[Candidate]) -> str | None:
    """Say over how many queries the accuracies are, and so how little they may tell apart."""
    accuracy = front[0].score.heterogeneous if front else None
    if accuracy is None or accuracy.num_queries is None:
        return None
    half_width = Z_95 * 0.5 / math.sqrt(accuracy.num_queries)
    title = (
        f"reward: {front[0].score.reward_name}; "
        f"accuracies over {accuracy.num_queries} validation queries: "
        f"a share is known to within {half_width:.2f} (95%)"
    )
    if accuracy.num_distractors:
        title += f"; {accuracy.num_distractors} gallery images are of other classes"
    if accuracy.num_excluded:
        title += f"; {accuracy.num_excluded} other queries have nothing to find"
    return title


def _row(candidate: Candidate) -> tuple[object, ...]:
    score, trained = candidate.score, candidate.trained
    latency = score.latency_ms
    shown = None if latency is None else f"{latency:.4g}{' *' if score.unstable_reasons else ''}"
    return (
        candidate.number,
        score.reward,
        None if trained is None else trained.reward,
        None if score.homogeneous is None else score.homogeneous.top1,
        None if score.heterogeneous is None else score.heterogeneous.top1,
        None if trained is None else trained.heterogeneous.top1,
        None if score.macs is None else score.macs / MMAC,
        shown,
        (score.latency or {}).get("source"),
        score.architecture,
    )
