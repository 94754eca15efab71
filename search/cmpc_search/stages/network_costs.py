"""What one image costs a network: arithmetic, which is counted, and latency, where it is told."""

from pathlib import Path

from cmpc_cost_models.compiling.entries import keep_compiled
from cmpc_cost_models.graphs.counting import count_network
from cmpc_cost_models.models.base import CostModel
from cmpc_search.runs.evaluation import NetworkCost

__all__ = ["network_cost"]


def network_cost(
    onnx_path: Path, cost_model: CostModel | None, *, kept_in: Path | None = None
) -> NetworkCost:
    """Count a network; let ``cost_model`` tell its latency, or say why it can't.

    Args:
        cost_model: None where the cost is counted in MACs and nothing is compiled.
        kept_in: Where what was compiled is kept: the very file that was timed may ship.
    """
    counted = count_network(onnx_path)
    if cost_model is None:
        return NetworkCost(macs=counted.macs, parameters=counted.parameters, latency=None)
    measurement = cost_model.measure(onnx_path)
    if kept_in is not None and measurement.compiled is not None:
        keep_compiled(measurement.compiled, kept_in)
    return NetworkCost(
        macs=counted.macs,
        parameters=counted.parameters,
        latency=measurement.cost,
        unstable_reasons=tuple(measurement.unstable_reasons),
        unknown_reasons=measurement.unknown_reasons,
        error=measurement.error,
    )
