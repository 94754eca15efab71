"""How the costs of an evaluation read, and what is to be said of those that may not be trusted."""

from typing import TYPE_CHECKING

from cmpc.output import make_table
from cmpc_base.units import MMAC

if TYPE_CHECKING:
    from rich.table import Table

    from cmpc_search.runs.evaluation import Evaluation, NetworkCost

__all__ = [
    "cost_table",
    "unknown_latencies",
    "unstable_latencies",
    "warnings_of",
]


def cost_table(found: "Evaluation") -> "Table":
    """Show what an image costs on either side."""
    rows: list[tuple[object, ...]] = [_cost_row("query network", found.query_cost)]
    if found.gallery_cost is not None:
        rows += [_cost_row("gallery network", found.gallery_cost), _ratio_row(found)]
    if (amortised := found.amortised) is not None:
        name = f"amortised at {amortised.queries_per_gallery_image:g} queries a gallery image"
        rows.append((name, amortised.macs / MMAC, None, None, None))
    return make_table(("one image", "MMAC counted", "parameters", "latency ms", "source"), rows)


def warnings_of(found: "Evaluation") -> list[str]:
    """Say why a measured latency is missing or may not be trusted."""
    notes = []
    for name, cost in _sides(found):
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
    return [
        f"the latency of the {name} network"
        for name, cost in _sides(found)
        if cost.unstable_reasons
    ]


def unknown_latencies(found: "Evaluation") -> list[str]:
    """Name the networks whose latency nobody can tell, and why."""
    return [
        f"the {name} network: {'; '.join(cost.unknown_reasons)}"
        for name, cost in _sides(found)
        if cost.unknown_reasons
    ]


def _sides(found: "Evaluation") -> "list[tuple[str, NetworkCost]]":
    costs = (("query", found.query_cost), ("gallery", found.gallery_cost))
    return [(name, cost) for name, cost in costs if cost is not None]


def _ratio_row(found: "Evaluation") -> tuple[object, ...]:
    return ("ratio", found.macs_ratio, found.parameters_ratio, found.latency_ratio, None)


def _cost_row(name: str, cost: "NetworkCost") -> tuple[object, ...]:
    if cost.latency is None:
        source = "not known" if cost.unknown_reasons else None
        return (name, cost.macs / MMAC, cost.parameters, None, source)
    latency: object = cost.latency.value
    if cost.unstable_reasons:
        latency = f"{cost.latency.value:.4g} *"
    return (name, cost.macs / MMAC, cost.parameters, latency, cost.latency.source)
