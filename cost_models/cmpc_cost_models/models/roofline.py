"""How fast can a network run on a target at best? The roofline, summed over its fused kernels.

A kernel that does F float32 operations and moves B bytes takes at least

    max(F / P, B / M)          P: peak of one core in operations, M: bandwidth in bytes a second

(Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
architectures", CACM 52(4), 2009). A network's latency is that sum over its kernels, which run one
after the other, and what it costs to call each of them.

It is a bound, not a forecast: no schedule reaches the peak everywhere. Caches are left out, in the
slow direction: what a kernel reads is counted as coming from memory, each value once. It orders
networks of one family, roughly; docs/targets.md holds it against measured latencies.

It speaks of kernels of ours alone. The plain loops that TVM's importer makes stay tens of times
away from the roof, so of a network with one of those the latency is ``Unknown``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import onnx

from cmpc_cost_models.graphs.reading import known_shapes, load_graph
from cmpc_cost_models.kernels.facts import flops_of
from cmpc_cost_models.plans.calls import Call, Import, Plan
from cmpc_cost_models.plans.planning import plan_network
from cmpc_cost_models.plans.specs import View
from cmpc_cost_models.records import Unknown
from cmpc_cost_models.targets.target import Target

__all__ = ["CALL_CYCLES", "Work", "attainable_seconds", "kernels_of", "network_seconds", "work_of"]

BYTES_PER_FLOAT = 4
CALL_CYCLES = 400
"""What TVM's virtual machine takes to call one kernel, in clocks of a core.

Measured: the slope of the latency of chains of 20, 60 and 100 tiny kernels was 0.16 us a kernel at
2.6 GHz (AMD EPYC, November 2026). Cores that issue in order take longer.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What one kernel does: float32 operations, and bytes read and written."""

    flops: int
    num_bytes: int


def attainable_seconds(work: Work, target: Target) -> float:
    """Return the least time that one core of ``target`` takes for one kernel."""
    compute = work.flops / (target.peak_gflops * 1e9)
    return max(compute, work.num_bytes / (target.memory_gb_per_s * 1e9))


def network_seconds(kernels: Iterable[Work], target: Target) -> float:
    """Return the roofline of a whole network on one core, with the calls of its kernels."""
    call_seconds = CALL_CYCLES / (target.clock_ghz * 1e9)
    return sum(attainable_seconds(work, target) + call_seconds for work in kernels)


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
    return tuple(
        work_of(call.spec, num_weights=sum(one.size for one in call.constants)) for call in calls
    )


def work_of(spec: Any, *, num_weights: int = 0) -> Work:
    """Count what a kernel does, from its specification.

    Args:
        spec: A kernel of ours: it writes the map ``target`` and reads its fields that are views.
        num_weights: How many float32 constants it reads besides.
    """
    num_floats = num_weights + spec.target.size + sum(map(_num_read, _views(spec)))
    return Work(flops=flops_of(spec), num_bytes=BYTES_PER_FLOAT * num_floats)


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


def _views(spec: Any) -> Iterator[View]:
    for one in fields(spec):
        value = getattr(spec, one.name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, View):
                yield part


def _num_read(view: View) -> int:
    return view.map.height * view.map.width * view.channels
