"""How an evaluation reads: accuracies, costs, and in two sentences what they mean."""

from typing import TYPE_CHECKING

from cmpc.output import make_table
from cmpc_search.study import Accuracy

if TYPE_CHECKING:
    from rich.table import Table

    from cmpc_search.stages.evaluation import Evaluation, NetworkCost, PickAccuracy

__all__ = [
    "accuracy_table",
    "cost_table",
    "unknown_latencies",
    "unstable_latencies",
    "verdict",
    "warnings_of",
]

MMAC = 1e6


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
        if cost.unknown_reasons:
            reasons = "; ".join(cost.unknown_reasons)
            notes.append(f"the latency of the {name} network is not known: {reasons}")
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


def unknown_latencies(found: "Evaluation") -> list[str]:
    """Name the networks whose latency nobody can tell, and why."""
    costs = {"query": found.query_cost, "gallery": found.gallery_cost}
    return [
        f"the {name} network: {'; '.join(cost.unknown_reasons)}"
        for name, cost in costs.items()
        if cost is not None and cost.unknown_reasons
    ]


def _pick_rows(pick: "PickAccuracy", name: str) -> list[tuple[object, ...]]:
    return [
        _accuracy_row(f"{name} M(q,q)", pick.homogeneous),
        _accuracy_row(f"{name} M(q,g)", pick.heterogeneous),
    ]


def _accuracy_row(name: str, accuracy: Accuracy) -> tuple[object, ...]:
    return (name, accuracy.top1, accuracy.top10, accuracy.mean_average_precision)


def _cost_row(name: str, cost: "NetworkCost") -> tuple[object, ...]:
    if cost.latency is None:
        source = "not known" if cost.unknown_reasons else None
        return (name, cost.macs / MMAC, cost.parameters, None, source)
    latency: object = cost.latency.value
    if cost.unstable_reasons:
        latency = f"{cost.latency.value:.4g} *"
    return (name, cost.macs / MMAC, cost.parameters, latency, cost.latency.source)
