"""How a run's results read: tables for people, documents for programs, the front as a picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cmpc.output import make_table, plain
from cmpc_search.runs import RunFolder
from cmpc_search.study import Accuracy, Budget, Candidate, CostName, Counts, cost_of, pareto_front

if TYPE_CHECKING:
    from PIL import Image
    from rich.table import Table

    from cmpc_search.stages.evaluation import Evaluation, NetworkCost, PickAccuracy

__all__ = [
    "accuracy_table",
    "cost_table",
    "front_document",
    "front_image",
    "front_table",
    "unstable_latencies",
    "unstable_trials",
    "verdict",
    "warnings_of",
]

MMAC = 1e6
COLUMNS = (
    "trial",
    "reward",
    "M(q,q) top-1",
    "M(q,g) top-1",
    "MMAC counted",
    "latency ms",
    "source",
    "architecture",
)


def front_table(front: Sequence[Candidate]) -> "Table":
    """Show the front, cheapest first; a latency that may not be trusted carries a mark."""
    return make_table(COLUMNS, [_row(candidate) for candidate in front])


def front_document(
    run: RunFolder, front: Sequence[Candidate], counts: Counts | None = None
) -> dict[str, object]:
    """Return the front as JSON values."""
    rows = [{"number": one.number, "score": one.score.to_json()} for one in front]
    document: dict[str, object] = {"run": run.path, "front": rows}
    return document if counts is None else document | {"counts": plain(counts)}


def front_image(
    candidates: Sequence[Candidate], picked: Candidate, *, cost: CostName, budget: Budget
) -> "Image.Image":
    """Draw every scored candidate, the front and the pick."""
    from cmpc.pictures import CostAxis, FrontPoint, front_picture

    on_front = {one.number for one in pareto_front(candidates, cost=cost, budget=budget)}
    scored = [one for one in candidates if one.is_scored]
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
    sources = sorted({str((one.score.latency or {}).get("source")) for one in scored})
    axis = (
        CostAxis(name="latency", unit="ms", source=" or ".join(sources), budget=budget.latency_ms)
        if cost == "latency"
        else CostAxis(
            name="arithmetic",
            unit="MMAC",
            source="counted",
            budget=None if budget.macs is None else budget.macs / MMAC,
        )
    )
    title = f"{len(scored)} candidates, {len(on_front)} on the front"
    reward_name = f"reward on validation classes ({picked.score.reward_name})"
    return front_picture(points, axis, reward_name=reward_name, title=title)


def accuracy_table(found: "Evaluation") -> "Table":
    """Show what a run is worth on its test classes."""
    return make_table(
        ("on test classes", "top-1", "top-10", "mAP"),
        [
            _accuracy_row("paragon M(g,g)", found.paragon),
            *(
                row
                for pick in found.picks
                for row in _pick_rows(
                    pick, f"query network, seed {pick.seed}," if len(found.picks) > 1 else "query"
                )
            ),
            *(_pick_rows(found.control, "control") if found.control else []),
        ],
        title=f"{found.num_queries} queries, {found.num_classes} unseen classes",
    )


def cost_table(found: "Evaluation", queries_per_gallery_image: float) -> "Table":
    """Show what an image costs on either side."""
    from cmpc_search.stages.evaluation import amortised_macs

    query, gallery = found.query_cost, found.gallery_cost
    rows: list[tuple[object, ...]] = [_cost_row("query network", query)]
    if gallery is not None:
        amortised = amortised_macs(query.macs, gallery.macs, queries_per_gallery_image)
        rows += [
            _cost_row("gallery network", gallery),
            (
                "ratio",
                found.macs_ratio,
                gallery.parameters / query.parameters,
                found.latency_ratio,
                None,
            ),
            (
                f"amortised at {queries_per_gallery_image:g} queries a gallery image",
                amortised / MMAC,
                None,
                None,
                None,
            ),
        ]
    return make_table(("one image", "MMAC counted", "parameters", "latency ms", "source"), rows)


def verdict(found: "Evaluation") -> str:
    """Say in two sentences what the numbers mean."""
    kept = "nothing" if found.kept_share is None else f"{found.kept_share:.1%}"
    text = (
        f"The query network keeps {kept} of the paragon's top-1, {found.paragon.top1:.1%}; "
        f"the rule M(q,g) > M(q,q) {_rule(found)}"
    )
    if found.control is not None:
        text += (
            f". Trained without the gallery, the same architecture finds "
            f"{found.control.heterogeneous.top1:.1%} across networks; "
            f"chance is {found.chance_top1:.1%}"
        )
    return text + "."


def _rule(found: "Evaluation") -> str:
    if len(found.picks) == 1:
        return "holds" if found.is_compatible else "does not hold"
    count = sum(pick.is_compatible for pick in found.picks)
    across, within = found.mean_top1("heterogeneous"), found.mean_top1("homogeneous")
    return (
        f"holds for {count} of {len(found.picks)} seeds, "
        f"whose means are {across:.1%} and {within:.1%}"
    )


def warnings_of(found: "Evaluation") -> list[str]:
    """Say why a measured latency is missing or may not be trusted."""
    notes = []
    for name, cost in (("query", found.query_cost), ("gallery", found.gallery_cost)):
        if cost is None:
            continue
        if cost.error is not None:
            notes.append(f"the {name} network has no latency: {cost.error}")
        if cost.unstable_reasons:
            reasons = "; ".join(cost.unstable_reasons)
            notes.append(f"the latency of the {name} network is unstable: {reasons}")
    return notes


def unstable_latencies(found: "Evaluation") -> list[str]:
    """Name the networks whose measured latency may not be trusted."""
    costs = {"query": found.query_cost, "gallery": found.gallery_cost}
    return [
        f"the latency of the {name} network"
        for name, cost in costs.items()
        if cost is not None and cost.unstable_reasons
    ]


def unstable_trials(front: Sequence[Candidate]) -> list[str]:
    """Name the candidates of a front whose measured latency may not be trusted."""
    return [
        f"trial {one.number}: {'; '.join(one.score.unstable_reasons)}"
        for one in front
        if one.score.unstable_reasons
    ]


def _row(candidate: Candidate) -> tuple[object, ...]:
    score = candidate.score
    latency = score.latency_ms
    shown = None if latency is None else f"{latency:.4g}{' *' if score.unstable_reasons else ''}"
    return (
        candidate.number,
        score.reward,
        None if score.homogeneous is None else score.homogeneous.top1,
        None if score.heterogeneous is None else score.heterogeneous.top1,
        None if score.macs is None else score.macs / MMAC,
        shown,
        (score.latency or {}).get("source"),
        score.architecture,
    )


def _pick_rows(pick: "PickAccuracy", name: str) -> list[tuple[object, ...]]:
    return [
        _accuracy_row(f"{name} M(q,q)", pick.homogeneous),
        _accuracy_row(f"{name} M(q,g)", pick.heterogeneous),
    ]


def _accuracy_row(name: str, accuracy: Accuracy) -> tuple[object, ...]:
    return (name, accuracy.top1, accuracy.top10, accuracy.mean_average_precision)


def _cost_row(name: str, cost: "NetworkCost") -> tuple[object, ...]:
    if cost.latency is None:
        return (name, cost.macs / MMAC, cost.parameters, None, None)
    latency: object = cost.latency.value
    if cost.unstable_reasons:
        latency = f"{cost.latency.value:.4g} *"
    return (name, cost.macs / MMAC, cost.parameters, latency, cost.latency.source)
