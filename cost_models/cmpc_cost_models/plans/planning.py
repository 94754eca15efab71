"""Turn an ONNX graph into calls of our kernels, and leave what they don't do to TVM's importer.

A rule raises ``NotOurs`` for whatever its kernel doesn't do; that node then goes through TVM's own
importer, alone or with its neighbours, and its tensors change their order at the seams. A rule may
be strict, then, but never approximate.

    ONNX nodes --*_rules--> Plan: [Call(spec, inputs, constants, output) or Import(nodes), ...]
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import onnx

from cmpc_cost_models.errors import CompileFailed
from cmpc_cost_models.graphs.parts import attributes_of
from cmpc_cost_models.graphs.reading import input_and_output_shape, known_shapes
from cmpc_cost_models.plans.batching import repeat_for_batch
from cmpc_cost_models.plans.calls import Image, Import, NotOurs, Plan, PlannedNode, Value
from cmpc_cost_models.plans.import_limits import why_not_imported
from cmpc_cost_models.plans.planner import Planner
from cmpc_cost_models.plans.rules import activations as activation_rules
from cmpc_cost_models.plans.rules import arithmetic as arithmetic_rules
from cmpc_cost_models.plans.rules import layers as layer_rules
from cmpc_cost_models.plans.rules import norms as norm_rules
from cmpc_cost_models.plans.rules import pools as pool_rules
from cmpc_cost_models.plans.rules import shapes as shape_rules

__all__ = ["RULES", "plan_network"]

Attributes = dict[str, Any]
Rule = Callable[[Planner, onnx.NodeProto, Attributes], None]
Shape = tuple[int, ...]


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
        return _plan(model, shapes, RULES)
    of_one = _shapes_of_one_image(model, shapes)
    plan = of_one and _plan(model, of_one, RULES)
    if plan and plan.calls and not plan.num_imported:
        return repeat_for_batch(plan)
    whole = _plan(model, shapes, {})
    return _with_reasons_of(plan, whole) if plan else whole


def _with_reasons_of(plan: Plan, whole: Plan) -> Plan:
    """Return ``whole`` with the reasons for which not each image of it is computed by ``plan``."""
    nodes = [
        replace(node, reason=one.reason and f"{one.reason}, and a batch is imported as a whole")
        for node, one in zip(whole.nodes, plan.nodes, strict=True)
    ]
    return replace(whole, nodes=tuple(nodes))


def _plan(model: onnx.ModelProto, shapes: dict[str, Shape], rules: dict[str, Rule]) -> Plan:
    graph = model.graph
    input_shape, output_shape = input_and_output_shape(model)
    values = (*graph.input, *graph.value_info, *graph.output)
    planner = Planner(model, shapes, {one.name: one.type.tensor_type.elem_type for one in values})
    [entry] = [one for one in graph.input if not planner.is_constant(one.name)]
    planner.images[entry.name] = Image(
        buffer=entry.name, shape=input_shape, element_type=entry.type.tensor_type.elem_type
    )
    for node in graph.node:
        _plan_node(planner, node, rules)
    output = planner.image(graph.output[0].name).buffer
    return Plan(
        model=model,
        input_name=entry.name,
        input_shape=input_shape,
        output=output,
        output_shape=output_shape,
        calls=_read_outside(planner.calls, output),
        stored=planner.stored,
        nodes=_planned_nodes(planner, graph),
    )


def _plan_node(planner: Planner, node: onnx.NodeProto, rules: dict[str, Rule]) -> None:
    state = planner.state()
    try:
        if node.op_type not in rules or node.domain not in ("", "ai.onnx"):
            raise NotOurs(f"there is no rule for {node.op_type}")
        rules[node.op_type](planner, node, attributes_of(node))
        for name in filter(None, node.output):
            _check_shape(planner, name)
    except NotOurs as error:
        planner.restore(state)
        planner.reasons[node.output[0]] = str(error)
        _leave_to_importer(planner, node)


def _leave_to_importer(planner: Planner, node: onnx.NodeProto) -> None:
    if reason := why_not_imported(planner, node, attributes_of(node)):
        raise CompileFailed(
            f"operator {node.op_type} (node {node.name or node.output[0]!r}) must be one that our "
            f"kernels do, or TVM's ONNX importer does rightly, and neither does with {reason}; "
            "export the network without that"
        )
    try:
        planner.leave_to_importer(node)
    except NotOurs as error:
        raise CompileFailed(
            f"every tensor must have a fixed size, but {error} and {node.op_type} "
            f"{node.name!r} reads it; export the network without what depends on the data"
        ) from error


def _check_shape(planner: Planner, name: str) -> None:
    """Let no rule overlook a result, or a broadcast or a rank that it doesn't handle."""
    if not planner.is_computed(name):
        raise NotOurs(f"{name} is not planned")
    planned = planner.planned(name)
    if planned is not None and planner.shape(name) not in (planned, _as_vector(planned)):
        raise NotOurs(f"{name} is planned as {planned} and is {planner.shape(name)}")


def _as_vector(shape: Shape) -> Shape | None:
    return shape[:2] if shape[2:] == (1, 1) else None


def _shapes_of_one_image(
    model: onnx.ModelProto, shapes: dict[str, Shape]
) -> dict[str, Shape] | None:
    """Return ``shapes`` with a batch of one, if all that is computed has the input's batch."""
    constants = {one.name for one in model.graph.initializer}
    [batch] = {shapes[one.name][0] for one in model.graph.input if one.name not in constants}
    computed = {name: shape for name, shape in shapes.items() if name not in constants}
    if any(shape[:1] != (batch,) for shape in computed.values()):
        return None
    return shapes | {name: (1, *shape[1:]) for name, shape in computed.items()}


def _read_outside(calls: list[Any], output: str) -> tuple[Any, ...]:
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


def _planned_nodes(planner: Planner, graph: onnx.GraphProto) -> tuple[PlannedNode, ...]:
    """Return which call computes each node; the first one where several do."""
    made: dict[str, int] = {}
    for index, call in enumerate(planner.calls):
        names = call.outputs if isinstance(call, Import) else (call.root, call.output)
        for name in names:
            made.setdefault(name, index)
    nodes = []
    for node in graph.node:
        result = node.output[0]
        found = planner.values.get(result)
        root = found.root if found and not isinstance(found, Value) else result
        nodes.append(
            PlannedNode(
                name=node.name or result,
                operator=node.op_type,
                call=made.get(root),
                reason=planner.reasons.get(result),
            )
        )
    return tuple(nodes)


RULES: dict[str, Rule] = {
    "Abs": activation_rules.activation,
    "Add": arithmetic_rules.arithmetic,
    "AveragePool": pool_rules.mean_pool,
    "BatchNormalization": arithmetic_rules.batch_norm,
    "Clip": norm_rules.clip,
    "Concat": shape_rules.concat,
    "Conv": layer_rules.conv,
    "Div": norm_rules.quotient,
    "Elu": activation_rules.activation,
    "Erf": activation_rules.activation,
    "Exp": activation_rules.activation,
    "Expand": norm_rules.expand,
    "Flatten": shape_rules.reshape,
    "Gelu": activation_rules.activation,
    "Gemm": layer_rules.dense,
    "GlobalAveragePool": pool_rules.global_pool,
    "GlobalMaxPool": pool_rules.global_pool,
    "HardSigmoid": activation_rules.gate,
    "HardSwish": activation_rules.activation,
    "Identity": shape_rules.same,
    "LRN": norm_rules.local_norm,
    "LeakyRelu": activation_rules.activation,
    "Log": activation_rules.activation,
    "MatMul": layer_rules.dense,
    "Max": norm_rules.smallest_length,
    "MaxPool": pool_rules.max_pool,
    "Min": arithmetic_rules.arithmetic,
    "Mul": arithmetic_rules.arithmetic,
    "Neg": activation_rules.activation,
    "PRelu": activation_rules.prelu,
    "Pad": shape_rules.pad,
    "Pow": arithmetic_rules.arithmetic,
    "Reciprocal": activation_rules.activation,
    "ReduceL2": norm_rules.length,
    "ReduceMax": pool_rules.global_pool,
    "ReduceMean": pool_rules.global_pool,
    "Relu": activation_rules.activation,
    "Reshape": shape_rules.reshape,
    "Resize": shape_rules.resize,
    "Sigmoid": activation_rules.gate,
    "Slice": shape_rules.slice_channels,
    "Softmax": norm_rules.softmax,
    "Softplus": activation_rules.activation,
    "Split": shape_rules.split,
    "Sqrt": activation_rules.activation,
    "Squeeze": shape_rules.reshape,
    "Sub": arithmetic_rules.arithmetic,
    "Sum": arithmetic_rules.total,
    "Swish": activation_rules.activation,
    "Tanh": activation_rules.activation,
    "Transpose": shape_rules.transpose,
    "Unsqueeze": shape_rules.reshape,
}
