"""Which way did each node of a graph take? Folded, a kernel of ours, or TVM's importer."""

from collections.abc import Iterator, Sequence

from cmpc_cost_models.graphs.cleaning import folded_nodes
from cmpc_cost_models.plans.plan import Import, Plan, PlannedNode
from cmpc_cost_models.records import NodePath

__all__ = ["node_paths"]


def node_paths(plan: Plan, symbols: Sequence[str]) -> Iterator[NodePath]:
    """Yield which function computes each node; first those that cleaning folded.

    Args:
        symbols: Of the function that each call of the plan calls.
    """
    for name, operator in folded_nodes(plan.model):
        yield NodePath(node=name, operator=operator, path="folded")
    for one in plan.nodes:
        yield _path_of(one, plan, symbols)


def _path_of(node: PlannedNode, plan: Plan, symbols: Sequence[str]) -> NodePath:
    path, kernel = "folded", None
    if node.call is not None:
        path = "import" if isinstance(plan.calls[node.call], Import) else "kernel"
        kernel = symbols[node.call]
    return NodePath(
        node=node.name, operator=node.operator, path=path, kernel=kernel, reason=node.reason
    )
