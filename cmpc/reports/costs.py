"""How the costs of an evaluation read, and what is to be said of those that may not be trusted."""

from pathlib import Path
from typing import TYPE_CHECKING

from cmpc.output import make_table

if TYPE_CHECKING:
    from rich.table import Table

    from cmpc_cost_models.models.catalogue import AnyMeter
    from cmpc_search.stages.evaluation import Evaluation, NetworkCost

__all__ = [
    "cost_table",
    "note_on_costs",
    "unknown_latencies",
    "unstable_latencies",
    "warnings_of",
]

MMAC = 1e6


def cost_table(found: "Evaluation", queries_per_gallery_image: float) -> "Table":
    """Show what an image costs on either side."""
    rows: list[tuple[object, ...]] = [_cost_row("query network", found.query_cost)]
    if found.gallery_cost is not None:
        rows += [_cost_row("gallery network", found.gallery_cost), _ratio_row(found)]
    if (amortised := found.amortised_macs(queries_per_gallery_image)) is not None:
        name = f"amortised at {queries_per_gallery_image:g} queries a gallery image"
        rows.append((name, amortised / MMAC, None, None, None))
    return make_table(("one image", "MMAC counted", "parameters", "latency ms", "source"), rows)


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


def note_on_costs(meter: "AnyMeter") -> str | None:
    """Say what a user must know of a meter's latencies before there are any; None for a timer."""
    from cmpc_cost_models.models.predicted import PredictedMeter
    from cmpc_cost_models.models.remote import RemoteMeter

    if isinstance(meter, RemoteMeter):
        return (
            f"Latencies are measured on {meter.device.name}, where nobody sees what else runs or "
            "how hot it is: only timings that disagree raise doubts."
        )
    if not isinstance(meter, PredictedMeter):
        return None
    target = meter.target
    note = (
        f"Latencies for {target.name} are PREDICTED, not measured: the roofline of the target's "
        f"table ({target.peak_gflops:g} GFLOP/s a core, {target.memory_gb_per_s:g} GB/s), summed "
        "over the fused kernels. `--device rpc://HOST:PORT` measures."
    )
    if not meter.lacking:
        runner = Path(meter.toolchain.emulator[0]).name if meter.toolchain.emulator else "here"
        return f"{note} Each candidate is run once ({runner}) for its answer, never for its time."
    lacking = "; ".join(meter.lacking)
    return f"{note} Candidates are compiled but NOT executed, so none is checked: {lacking}."


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
