"""Turn an ONNX graph into calls of our kernels, and leave what they don't do to TVM's importer.

The graph is read once, in order. A node that no rule takes goes through TVM's own importer, alone
or with its neighbours, and its tensors change their order at the seams.

    graph --patterns--> nodes --rules--> drafts --planner--> Plan: [Call or Import, ...]
"""

from collections.abc import Mapping
from dataclasses import replace

import onnx

from cmpc_cost_models.errors import CompileFailed
from cmpc_cost_models.graphs.graph import Graph
from cmpc_cost_models.graphs.parts import Shape, all_inputs, attributes_of
from cmpc_cost_models.graphs.patterns.base import Match
from cmpc_cost_models.graphs.patterns.matching import match_patterns
from cmpc_cost_models.graphs.reading import input_and_output_shape, known_shapes
from cmpc_cost_models.plans.batching import repeat_for_batch
from cmpc_cost_models.plans.draft import Demand, Draft, Progress
from cmpc_cost_models.plans.import_limits import why_not_imported
from cmpc_cost_models.plans.maps import View
from cmpc_cost_models.plans.plan import (
    Call,
    FusableKernel,
    Image,
    Import,
    NotOurs,
    Plan,
    Planned,
    PlannedNode,
    Value,
)
from cmpc_cost_models.plans.rules.table import rule_for

__all__ = ["plan_network"]


def plan_network(model: onnx.ModelProto) -> Plan:
    """Return what computes ``model``, as ``reading.load_graph`` reads it.

    Raises:
        BadNetworkFile: it has several inputs or outputs, or they are not of fixed size.
        CompileFailed: the size of some tensor depends on the data, or an operator is one that
            TVM's importer takes and computes wrongly.
    """
    input_shape, _ = input_and_output_shape(model)
    shapes = known_shapes(model)
    if len(input_shape) != 4 or input_shape[0] == 1:
        return _Planner(Graph(model, shapes)).plan()
    of_one = _shapes_of_one_image(model, shapes)
    plan = of_one and _Planner(Graph(model, of_one)).plan()
    if plan and plan.calls and not plan.num_imported:
        return repeat_for_batch(plan)
    whole = _Planner(Graph(model, shapes), imports_all=True).plan()
    return _with_reasons_of(plan, whole) if plan else whole


def _with_reasons_of(plan: Plan, whole: Plan) -> Plan:
    """Return ``whole`` with the reasons for which not each image of it is computed by ``plan``."""
    nodes = [
        replace(node, reason=one.reason and f"{one.reason}, and a batch is imported as a whole")
        for node, one in zip(whole.nodes, plan.nodes, strict=True)
    ]
    return replace(whole, nodes=tuple(nodes))


def _shapes_of_one_image(
    model: onnx.ModelProto, shapes: Mapping[str, Shape]
) -> dict[str, Shape] | None:
    """Return ``shapes`` with a batch of one, if all that is computed has the input's batch."""
    constants = {one.name for one in model.graph.initializer}
    [batch] = {shapes[one.name][0] for one in model.graph.input if one.name not in constants}
    computed = {name: shape for name, shape in shapes.items() if name not in constants}
    if any(shape[:1] != (batch,) for shape in computed.values()):
        return None
    return dict(shapes) | {name: (1, *shape[1:]) for name, shape in computed.items()}


class _Planner:
    """Walks over a graph; alone adds to what is planned.

    Args:
        imports_all: Whether every node is left to the importer.
    """

    def __init__(self, graph: Graph, *, imports_all: bool = False) -> None:
        self._graph, self._imports_all = graph, imports_all
        self._matches = match_patterns(graph, ()) if imports_all else match_patterns(graph)
        self._demand = Demand.of((one.node for one in self._matches), graph)
        self._progress = Progress()
        self._reasons: dict[str, str] = {}  # result of a node -> why no rule took it

    def plan(self) -> Plan:
        graph = self._graph
        input_shape, output_shape = input_and_output_shape(graph.model)
        kind = graph.element_type(graph.input_name)
        self._progress.images[graph.input_name] = Image(
            buffer=graph.input_name, shape=input_shape, element_type=kind
        )
        for match in self._matches:
            self._plan_match(match)
        draft = self._draft()
        output = draft.image(graph.outputs[0]).buffer
        draft.commit()
        return Plan(
            model=graph.model,
            input_name=graph.input_name,
            input_shape=input_shape,
            output=output,
            output_shape=output_shape,
            calls=_read_outside(self._progress.calls, output),
            stored=dict(self._progress.stored),
            nodes=self._planned_nodes(),
        )

    def _draft(self) -> Draft:
        return Draft(self._graph, self._demand, self._progress)

    def _plan_match(self, match: Match) -> None:
        """Plan what a pattern matched as one node, or else each of its nodes."""
        reason = self._plan_node(match.node)
        for node in match.given if reason else ():
            if not all(map(self._progress.has, filter(None, node.output))):
                self._plan_given(node, reason if len(match.given) == 1 else None)

    def _plan_given(self, node: onnx.NodeProto, reason: str | None) -> None:
        """Plan a node of the graph, by the importer if a rule refuses or has refused it."""
        if reason := reason or self._plan_node(node):
            self._reasons[node.output[0]] = reason
            self._leave_to_importer(node)

    def _plan_node(self, node: onnx.NodeProto) -> str | None:
        """Plan a node by its rule, or return why there is no way."""
        rule, draft = rule_for(node), self._draft()
        if rule is None or self._imports_all:
            return f"there is no rule for {node.op_type}"
        try:
            results = rule(draft, node, attributes_of(node))
            planned = results if isinstance(results, tuple) else (results,)
            for name, result in _by_name(node, planned):
                _check_shape(draft, name, result)
                draft.hold(name, result)
        except NotOurs as error:
            return str(error)
        draft.commit()
        return None

    def _leave_to_importer(self, node: onnx.NodeProto) -> None:
        draft = self._draft()
        if reason := why_not_imported(draft, node, attributes_of(node)):
            raise CompileFailed(
                f"operator {node.op_type} (node {node.name or node.output[0]!r}) must be one that "
                f"our kernels do, or TVM's ONNX importer does rightly, and neither does with "
                f"{reason}; export the network without that"
            )
        try:
            if not self._join_last_import(node):
                self._import_alone(node)
        except NotOurs as error:
            raise CompileFailed(
                f"every tensor must have a fixed size, but {error} and {node.op_type} "
                f"{node.name!r} reads it; export the network without what depends on the data"
            ) from error
        for name in filter(None, node.output):
            self._note_import(name)

    def _join_last_import(self, node: onnx.NodeProto) -> bool:
        """Let TVM import ``node`` with the nodes before it, if those are imported."""
        progress, draft = self._progress, self._draft()
        last = progress.calls[-1] if progress.calls else None
        if not isinstance(last, Import):
            return False
        images = {one: draft.image(one) for one in self._read(node) if one not in last.outputs}
        # What it makes can be read inside only under its own name, not in another shape.
        is_made = any(image.buffer in last.outputs for image in images.values())
        if is_made or draft.calls_anything:
            return False
        draft.commit()
        progress.calls[-1] = Import(
            nodes=(*last.nodes, node),
            inputs=last.inputs | images,
            outputs=(*last.outputs, *filter(None, node.output)),
        )
        return True

    def _import_alone(self, node: onnx.NodeProto) -> None:
        draft = self._draft()
        images = {name: draft.image(name) for name in self._read(node)}
        draft.commit()
        outputs = tuple(filter(None, node.output))
        self._progress.calls.append(Import(nodes=(node,), inputs=images, outputs=outputs))

    def _read(self, node: onnx.NodeProto) -> list[str]:
        """Return the computed tensors that a node reads, each once."""
        return [one for one in dict.fromkeys(all_inputs(node)) if self._progress.has(one)]

    def _note_import(self, name: str) -> None:
        shape = self._graph.shape(name)
        if shape is None:
            self._progress.unshaped.add(name)
        else:
            kind = self._graph.element_type(name)
            self._progress.images[name] = Image(buffer=name, shape=shape, element_type=kind)

    def _planned_nodes(self) -> tuple[PlannedNode, ...]:
        """Return which call computes each node; the first one where several do."""
        made: dict[str, int] = {}
        for index, call in enumerate(self._progress.calls):
            for name in call.outputs if isinstance(call, Import) else (call.root, call.output):
                made.setdefault(name, index)
        return tuple(
            PlannedNode(
                name=node.name or node.output[0],
                operator=node.op_type,
                call=made.get(self._root_of(node.output[0])),
                reason=self._reasons.get(node.output[0]),
            )
            for node in self._graph.nodes
        )

    def _root_of(self, name: str) -> str:
        found = self._progress.values.get(name)
        return found.root or name if isinstance(found, FusableKernel) else name


def _by_name(node: onnx.NodeProto, planned: tuple[Planned, ...]) -> list[tuple[str, Planned]]:
    names = [name for name in node.output if name]
    if len(names) != len(planned):
        raise NotOurs(f"{names[-1]} is not planned")
    return list(zip(names, planned, strict=True))


def _check_shape(draft: Draft, name: str, planned: Planned) -> None:
    """Let no rule overlook a broadcast or a rank that it doesn't handle."""
    if isinstance(planned, Image):
        return
    view = planned.view if isinstance(planned, Value) else View.whole(planned.spec.target)
    shape = (1, view.channels, view.map.height, view.map.width)
    if draft.shape(name) not in (shape, shape[:2] if shape[2:] == (1, 1) else None):
        raise NotOurs(f"{name} is planned as {shape} and is {draft.shape(name)}")


def _read_outside(calls: list[Call | Import], output: str) -> tuple[Call | Import, ...]:
    """Return the calls; an import has only those outputs that others read."""
    read = {output}
    for call in calls:
        if isinstance(call, Import):
            read.update(image.buffer for image in call.inputs.values())
        else:
            read.update(call.inputs)
    return tuple(
        call.only(tuple(name for name in call.outputs if name in read))
        if isinstance(call, Import)
        else call
        for call in calls
    )
