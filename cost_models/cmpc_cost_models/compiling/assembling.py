"""Put a plan's calls together as a TVM module: ``main``, and the functions that TVM imported.

main(image):
    a = call_dps_packed("convolution_1f", image, weight, bias)   a kernel: an object file of its own
    b = imported_0(view(a, [1, C, H, W]))                        TVM's functions want ONNX's shapes
    return view(b, output shape)
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from onnx import helper
from tvm import ir, relax
from tvm.ir import transform as ir_transform

from cmpc_cost_models.compiling.importing import import_nodes
from cmpc_cost_models.compiling.paths import node_paths
from cmpc_cost_models.errors import CompileFailed
from cmpc_cost_models.graphs.parts import Shape
from cmpc_cost_models.graphs.reading import known_shapes
from cmpc_cost_models.plans.plan import Call, Import, Plan
from cmpc_cost_models.plans.specs import ImageToMap, KernelSpec
from cmpc_cost_models.records import KernelCall, NodePath

__all__ = ["Assembled", "assemble"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Assembled:
    """A module and what is in it.

    Attributes:
        module: A Relax module whose ``main`` takes the network's input; its other functions are
            imported ones.
        calls: What one run of ``main`` calls, in order.
        nodes: Which way each node of the given graph took.
    """

    module: Any
    calls: tuple[KernelCall, ...]
    nodes: tuple[NodePath, ...]


def assemble(plan: Plan, symbol_of: Callable[[KernelSpec], str]) -> Assembled:
    """Return a module that makes the plan's calls.

    Args:
        symbol_of: Returns what a kernel is called in its object file.

    Raises:
        CompileFailed: TVM doesn't take an operator that is no kernel of ours.
    """
    assembler = _Assembler(plan, symbol_of)
    module = assembler.module()
    if plan.num_imported:
        module = _fused(module)
    return Assembled(
        module=module,
        calls=tuple(_calls_of(module, "main")),
        nodes=tuple(node_paths(plan, assembler.symbols)),
    )


def _fused(module: Any) -> Any:
    """Fuse the imported functions.

    Constants are left alone on purpose: FoldConstant compiles a kernel for each of them.
    """
    passes = [
        relax.transform.LegalizeOps(),
        relax.transform.AnnotateTIROpPattern(),
        relax.transform.FuseOps(),
        relax.transform.FuseTIR(),
    ]
    return ir_transform.Sequential(passes)(module)


class _Assembler:
    """Calls one function after another in the builder's ``main``."""

    def __init__(self, plan: Plan, symbol_of: Callable[[KernelSpec], str]) -> None:
        self._plan, self._symbol_of = plan, symbol_of
        self._builder = relax.BlockBuilder()
        self._constants: dict[int, Any] = {}
        self._buffers: dict[str, Any] = {}
        self._shapes: dict[str, Shape] = {}
        self._known_shapes = known_shapes(plan.model)
        self.symbols: list[str] = []  # of the function that each call calls

    def module(self) -> Any:
        plan = self._plan
        image = relax.Var("image", relax.TensorType(plan.input_shape, self._input_type()))
        self._keep(plan.input_name, image, plan.input_shape)
        # No dataflow block: passes over those expect functions of blocks, and ours are plain loops.
        with self._builder.function("main", [image]):
            for name, array in plan.stored.items():
                self._keep(name, relax.const(array, str(array.dtype)), array.shape)
            for call in plan.calls:
                if isinstance(call, Import):
                    self._import(call)
                else:
                    self._call(call)
            self._builder.emit_func_output(self._in_shape(plan.output, plan.output_shape))
        return self._builder.get()

    def _input_type(self) -> str:
        [given] = [one for one in self._plan.model.graph.input if one.name == self._plan.input_name]
        return _dtype(given.type.tensor_type.elem_type)

    def _call(self, call: Call) -> None:
        symbol = self._symbol_of(call.spec)
        first, *others = call.inputs
        data = self._in_shape(first, _shape_read(call.spec, self._shapes[first]))
        arguments = [data, *map(self._constant, call.constants), *map(self._flat, others)]
        shape, dtype = (call.spec.target.size,), call.spec.target.dtype
        made = relax.call_dps_packed(symbol, arguments, relax.TensorType(shape, dtype))
        self._keep(call.output, self._builder.emit(made), shape)
        self.symbols.append(symbol)

    def _import(self, call: Import) -> None:
        variable = import_nodes(call, self._plan.model, self._builder)
        arguments = [self._in_shape(one.buffer, one.shape) for one in call.inputs.values()]
        made = self._builder.emit(relax.Call(variable, arguments))
        for index, name in enumerate(call.outputs):
            part = made if len(call.outputs) == 1 else self._builder.emit(made[index])
            self._keep(name, part, self._shape_as_known(name, part))
        self.symbols.append(variable.name_hint)

    def _shape_as_known(self, name: str, part: Any) -> Shape:
        """Return the shape of an imported tensor; the importer overlooks some attributes."""
        shape = _static_shape(part)
        if shape != self._known_shapes.get(name, shape):
            raise CompileFailed(
                f"tensor {name!r} must have the shape {self._known_shapes[name]}, and TVM's ONNX "
                f"importer makes {shape} of it; export the network with simpler operators"
            )
        return shape

    def _constant(self, array: Any) -> Any:
        """Return a constant; an array that several calls read is one."""
        if id(array) not in self._constants:
            self._constants[id(array)] = relax.const(array, str(array.dtype))
        return self._constants[id(array)]

    def _keep(self, name: str, expression: Any, shape: Shape) -> None:
        self._buffers[name], self._shapes[name] = expression, tuple(shape)

    def _flat(self, name: str) -> Any:
        return self._in_shape(name, (math.prod(self._shapes[name]),))

    def _in_shape(self, name: str, shape: Shape) -> Any:
        """Return the buffer ``name`` as a tensor of ``shape``: a view, not a copy."""
        if self._shapes[name] == tuple(shape):
            return self._buffers[name]
        return self._builder.emit(relax.op.memory.view(self._buffers[name], shape))


def _shape_read(spec: KernelSpec, given: Shape) -> Shape:
    """Return the shape in which a kernel wants its first input: all but one want it flat."""
    if isinstance(spec, ImageToMap):
        return (spec.batch, spec.target.channels, spec.target.height, spec.target.width)
    return (math.prod(given),)


def _static_shape(tensor: Any) -> Shape:
    return tuple(int(one) for one in tensor.ty.shape)


def _dtype(element_type: int) -> str:
    return str(helper.tensor_dtype_to_np_dtype(element_type))


def _calls_of(module: Any, function: str) -> Iterator[KernelCall]:
    """Yield what one run of ``function`` calls; a function of TVM's importer is its loops.

    The virtual machine's own calls are those that the module has, such as views in another shape.
    What TVM adds while it compiles, to check arguments and to allocate memory, is not among them.
    """
    bindings = (one for block in module[function].body.blocks for one in block.bindings)
    for call in (one.value for one in bindings if isinstance(one.value, relax.Call)):
        if isinstance(call.op, ir.GlobalVar):
            yield from _calls_of(module, call.op.name_hint)
        elif call.op.name == "relax.call_dps_packed":
            yield KernelCall(symbol=str(call.args[0].global_symbol), made_by="kernel")
        elif call.op.name == "relax.call_tir":
            yield KernelCall(symbol=call.args[0].name_hint, made_by="import")
        elif call.op.name != "relax.null_value":
            yield KernelCall(symbol=call.op.name, made_by="vm")
