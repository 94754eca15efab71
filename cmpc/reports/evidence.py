"""What a pick is held against: a table, a plain sentence for each claim, a picture."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cmpc.output import make_table
from cmpc.reports.accuracies import percent, points, test_title
from cmpc.reports.base import Report
from cmpc_base.units import MMAC

if TYPE_CHECKING:
    from PIL import Image
    from rich.table import Table

    from cmpc_search.evaluation.statistics import Estimate
    from cmpc_search.runs.evidence import Evidence, EvidenceRow

__all__ = ["claims", "evidence_image", "evidence_report", "evidence_table"]

COLUMNS = (
    "on test classes",
    "begun with",
    "MMAC counted",
    "M(q,g) top-1",
    "M(q,q) top-1",
    "pick ahead, points",
    "M(q,g) > M(q,q)",
    "negative flips",
)


def evidence_report(found: "Evidence") -> Report:
    """Tell of the pick and of all that it was held against."""
    return Report(
        document=found.to_json(), tables=(evidence_table(found),), sentences=tuple(claims(found))
    )


def evidence_table(found: "Evidence") -> "Table":
    """Show all networks; the independent one is held against the pick by its M(q,q)."""
    seeds = "1 seed" if len(found.seeds) == 1 else f"{len(found.seeds)} seeds"
    title = f"{test_title(found)}; each trained for {found.num_steps} steps with {seeds}"
    return make_table(COLUMNS, map(_row, found.rows), title=title)


def claims(found: "Evidence") -> Iterator[str]:
    """Say in a sentence each what the pick was found to be worth."""
    count = found.queries.num_queries
    if found.kept_share is not None:
        yield f"The pick keeps {percent(found.kept_share)} of the paragon's top-1."
    yield _told("The pick's M(q,g)", "its M(q,q)", found.advantage, count)
    num_random = sum(one.row == "random" and one.error is None for one in found.rows)
    for one in found.rows:
        if one.error is not None:
            yield f"{one.name} is left out: {one.error}"
        elif one.row == "random" and one is not found.best_random:
            continue
        elif one.lead is not None and one.row != "paragon":
            words = one.words
            if one.row == "random":
                words = f"the best of {num_random} random architectures within its MACs"
            yield _told("The pick", words, one.lead, count)
            if one.lead_alike is not None:
                anew = "Begun with random weights as that was, the pick's architecture"
                yield _told(anew, words, one.lead_alike, count)
    if found.reward_tau is not None:
        yield _order(found, found.reward_tau)


def evidence_image(found: "Evidence") -> "Image.Image":
    """Draw all networks but those that failed; the paragon, which costs far more, as a line."""
    from cmpc.pictures import ContestPoint, contest_picture

    shown = [one for one in found.rows if one.worth_top1 is not None and one.row != "paragon"]
    points = [
        ContestPoint(
            name=f"{one.name}, its M(q,q)" if one.worth == "own" else one.name,
            kind=_kind(one, found),
            mmacs=one.macs / MMAC,
            value=one.worth_top1.value,
            low=one.worth_top1.low,
            high=one.worth_top1.high,
        )
        for one in shown
        if one.worth_top1 is not None and one.macs is not None
    ]
    paragon = found.paragon.worth_top1
    assert paragon is not None, "the gallery network answered the queries"
    title = f"M(q,g) of {len(points)} networks over {found.queries.num_queries} queries"
    return contest_picture(points, paragon=paragon.value, title=title)


def _kind(one: "EvidenceRow", found: "Evidence") -> str:
    if one.row in ("pick", "random"):
        return one.row
    return "same" if one.architecture == found.architecture else "hand-made"


def _told(ahead: str, behind: str, difference: "Estimate", num_queries: int) -> str:
    from cmpc_search.evaluation.judgement import told_from

    told = told_from(difference, num_queries)
    if told == "holds":
        return f"{ahead} beats {behind} by {points(difference)} points."
    if told == "does not hold":
        return f"{ahead} does not beat {behind}, and is behind it: {points(difference)} points."
    return (
        f"{ahead} is not shown to beat {behind}: the difference is "
        f"{points(difference)} points over {num_queries} queries."
    )


def _order(found: "Evidence", tau: "Estimate") -> str:
    return (
        f"The search's reward ({found.reward}) orders {found.num_ranked} architectures as "
        f"trainings of their own do with Kendall's tau {tau.value:.2f} [{tau.low:.2f}, "
        f"{tau.high:.2f}], on validation classes; 1 is the same order, 0 is chance."
    )


def _row(one: "EvidenceRow") -> tuple[object, ...]:
    flips = [seed.negative for seed in one.flips]
    return (
        one.name,
        one.start,
        None if one.macs is None else one.macs / MMAC,
        "failed" if one.error else None if one.across is None else _share(one.across.top1),
        None if one.own is None else _share(one.own.top1),
        None if one.lead is None else points(one.lead),
        one.rule,
        sum(flips) / len(flips) if flips else None,
    )


def _share(share: "Estimate") -> str:
    return f"{share.value:.3f} [{share.low:.3f}, {share.high:.3f}]"
