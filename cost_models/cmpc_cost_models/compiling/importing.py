"""Let TVM's ONNX importer make a function of the nodes that our kernels don't do.

The function is fused, but its kernels are the plain loops of ``tvm.compile``: correct, and tens of
times slower than ours.
"""

import contextlib
import io
from typing import Any

import onnx
from onnx import helper
from tvm import relax
from tvm.ir import transform as ir_transform
from tvm.relax.frontend.onnx import from_onnx

from cmpc_base.printable import last_line
from cmpc_cost_models.errors import CompileFailed
from cmpc_cost_models.graphs.parts import all_inputs, opset_of
from cmpc_cost_models.plans.plan import Image, Import

__all__ = ["import_nodes"]

OLDEST_IR = 8


def import_nodes(call: Import, model: onnx.ModelProto, builder: relax.BlockBuilder) -> Any:
    """Add a function of the imported nodes of ``model`` and return its variable.

    Its inputs and outputs are the call's, in its order; several outputs are a tuple.

    Raises:
        CompileFailed: TVM doesn't take one of the operators; the error names it.
    """
    try:
        module = _import(_part_of(model, call), opset_of(model))
    # The importer raises whatever its converters raise; all of it means that it takes no such node.
    except Exception as error:
        node, reason = _first_refused(call, model) or (call.nodes[-1], error)
        raise CompileFailed(
            f"operator {node.op_type} (node {node.name or node.output[0]!r}) must be one that our "
            f"kernels or TVM's ONNX importer take, and neither does: {last_line(reason)}; "
            "export the network without it, or with simpler operators in its place"
        ) from error
    renamed = _Renamed(
        {
            variable: builder.add_func(function, variable.name_hint)
            for variable, function in module.functions.items()
            if variable.name_hint != "main"
        }
    )
    return builder.add_func(renamed.visit_expr(module["main"]), "imported")


@relax.expr_functor.mutator
class _Renamed(relax.PyExprMutator):  # type: ignore[misc]  # TVM has no types
    """Calls other functions instead of the given ones: names must be unique in a module."""

    def __init__(self, variables: dict[Any, Any]) -> None:
        super().__init__()
        self._variables = variables

    def visit_global_var_(self, variable: Any) -> Any:
        return self._variables.get(variable, variable)


def _import(part: onnx.ModelProto, opset: int) -> Any:
    """Return the module that a model becomes; its operators are legal ones."""
    with contextlib.redirect_stdout(io.StringIO()):  # what it prints is in the errors, too
        module = from_onnx(part, opset=opset, keep_params_in_input=False)
    module = ir_transform.Sequential(
        [relax.transform.DecomposeOpsForInference(), relax.transform.CanonicalizeBindings()]
    )(module)
    relax.transform.LegalizeOps()(module)  # only to learn here, not later, what can't be compiled
    for name in ("global_symbol", "num_input"):
        module["main"] = module["main"].without_attr(name)
    return module


def _part_of(model: onnx.ModelProto, call: Import) -> onnx.ModelProto:
    """Return the nodes of ``call`` as a model of their own."""
    given, part = model.graph, onnx.GraphProto()
    part.name = "part"
    part.node.extend(call.nodes)
    read = {name for node in call.nodes for name in all_inputs(node)}
    part.initializer.extend(one for one in given.initializer if one.name in read)
    for name, image in call.inputs.items():
        part.input.append(helper.make_tensor_value_info(name, image.element_type, image.shape))
    known = {one.name: one for one in (*given.value_info, *given.output)}
    made = [name for node in call.nodes for name in node.output]
    part.value_info.extend(known[name] for name in made if name in known)
    part.output.extend(known[name] for name in call.outputs)
    result = helper.make_model(part, opset_imports=model.opset_import)
    result.ir_version = min(model.ir_version, OLDEST_IR)
    return result


def _first_refused(call: Import, model: onnx.ModelProto) -> tuple[onnx.NodeProto, Exception] | None:
    """Return the first node that the importer doesn't take on its own, and why."""
    known = {one.name for one in (*model.graph.value_info, *model.graph.output)}
    for node in call.nodes:
        outputs = tuple(name for name in node.output if name in known)
        alone = Import(nodes=(node,), inputs=_images_of(node, model), outputs=outputs)
        try:
            _import(_part_of(model, alone), opset_of(model))
        except Exception as error:
            return node, error
    return None


def _images_of(node: onnx.NodeProto, model: onnx.ModelProto) -> dict[str, Image]:
    """Return what a node reads that is computed, as far as its shape is known."""
    graph = model.graph
    constants = {one.name for one in graph.initializer}
    values = {one.name: one.type.tensor_type for one in (*graph.input, *graph.value_info)}
    read = [name for name in all_inputs(node) if name in values and name not in constants]
    return {
        name: Image(
            buffer=name,
            shape=tuple(dim.dim_value for dim in values[name].shape.dim),
            element_type=values[name].elem_type,
        )
        for name in read
    }
