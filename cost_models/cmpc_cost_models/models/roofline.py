"""How fast can a network run on a target at best? The roofline, summed over its fused kernels.

A kernel takes what its limits allow at best (``limits``), on one core. A network's latency is that
sum over its kernels, which run one after the other, and what it costs to call each of them.

It is a bound, not a forecast: no schedule reaches the peak everywhere. Caches are left out, in the
slow direction: what a kernel reads is counted as coming from memory, each value once. It orders
networks of one family, roughly; docs/targets.md holds it against measured latencies.

It speaks of kernels of ours alone. The plain loops that TVM's importer makes stay tens of times
away from the roof, so of a network with one of those the latency is ``Unknown``.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx

from cmpc_cost_models.graphs.reading import known_shapes, load_graph
from cmpc_cost_models.models.base import CostModel
from cmpc_cost_models.models.limits import Roofline
from cmpc_cost_models.plans.plan import Call, Import, Plan
from cmpc_cost_models.plans.planner import plan_network
from cmpc_cost_models.plans.work import Work, work_of
from cmpc_cost_models.records import Cost, Unknown
from cmpc_cost_models.records.evidence import PredictionEvidence
from cmpc_cost_models.targets.machine import describe_versions
from cmpc_cost_models.targets.target import Target

__all__ = ["CALL_CYCLES", "RooflineModel", "kernels_of", "network_seconds"]

CALL_CYCLES = 45
"""What it takes to call one kernel of a network that is compiled ahead, in clocks of a core.

Measured: the slope of the latency of chains of 20, 60 and 100 tiny kernels was 0.017 us a kernel at
2.6 GHz (AMD EPYC, November 2026). Cores that issue in order take longer.
"""
PREDICTION = "roofline of the target's table, summed over the fused kernels"


class RooflineModel(CostModel):
    """Predicts latencies from a target's table; nothing is compiled and nothing run."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def estimate(self, onnx_path: Path) -> Cost | Unknown:
        """Return the predicted latency; it is unknown where some nodes are no kernels of ours.

        Raises:
            BadNetworkFile: the network can't be read, or its sizes are not fixed.
            CompileFailed: the size of some tensor depends on the data.
        """
        kernels = kernels_of(onnx_path)
        if isinstance(kernels, Unknown):
            return kernels
        return Cost(
            name="latency",
            value=network_seconds(kernels, self.target) * 1e3,
            unit="ms",
            source="predicted",
            estimator="roofline",
            target=self.target.name,
            evidence=PredictionEvidence(
                prediction=PREDICTION,
                num_kernels=len(kernels),
                peak_gflops=self.target.peak_gflops,
                memory_gb_per_s=self.target.memory_gb_per_s,
            ),
            versions=describe_versions(),
        )

    @property
    def note(self) -> str:
        return (
            f"Latencies for {self.target.name} are PREDICTED, not measured: the roofline of the "
            f"target's table ({self.target.peak_gflops:g} GFLOP/s a core, "
            f"{self.target.memory_gb_per_s:g} GB/s), summed over the fused kernels. "
            "`--device rpc://HOST:PORT` measures."
        )


def network_seconds(kernels: Iterable[Work], target: Target) -> float:
    """Return the roofline of a whole network on one core, with the calls of its kernels."""
    roofline = Roofline.of_target(target)
    call_seconds = CALL_CYCLES / (target.clock_ghz * 1e9)
    return sum(roofline.least_us(work) / 1e6 + call_seconds for work in kernels)


def kernels_of(onnx_path: Path) -> tuple[Work, ...] | Unknown:
    """Return what each fused kernel of a network does, in the order of their calls.

    It is ``Unknown``, with a reason for each node, where TVM's importer compiles some of them.

    Raises:
        BadNetworkFile: the network can't be read, or its sizes are not fixed.
        CompileFailed: the size of some tensor depends on the data.
    """
    plan = plan_network(load_graph(onnx_path))
    if reasons := tuple(_why_unknown(plan)):
        return Unknown(reasons)
    calls = (call for call in plan.calls if isinstance(call, Call))
    return tuple(work_of(call.spec) for call in calls)


def _why_unknown(plan: Plan) -> Iterator[str]:
    """Say of each imported node that, and why, nobody can tell how long it takes."""
    shapes = known_shapes(plan.model)
    for call in plan.calls:
        for node in call.nodes if isinstance(call, Import) else ():
            yield f"{_name_of(node)} goes through TVM's importer, whose plain loops have no model"
            for name in (*node.input, *node.output):
                if name and name not in shapes:
                    yield f"the size of {name!r}, at {_name_of(node)}, is not known from the graph"


def _name_of(node: onnx.NodeProto) -> str:
    return f"{node.op_type} {node.name or node.output[0]!r}"
