"""Turn an ONNX graph into a TVM executable.

Graphs of the operators that our networks consist of run on kernels of our own (``planning``,
``kernel_code``). Any other graph goes through TVM's importer: it is fused, but its kernels are the
plain loops of ``tvm.compile``, tens of times slower.
"""

from typing import Any

import onnx
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

from cmpc_cost_models.lowering.kernel_code import write_kernel
from cmpc_cost_models.lowering.kernel_specs import KernelSpec
from cmpc_cost_models.lowering.planning import Plan, plan_network
from cmpc_cost_models.targets import Target

__all__ = ["build_executable"]

FLOAT = "float32"


def build_executable(model: onnx.ModelProto, target: Target) -> Any:
    """Return the Relax executable of ``model``, its weights inside."""
    tvm_target = tvm.target.Target(target.to_tvm())
    plan = plan_network(model)
    if plan is None:
        module = _import_and_fuse(model, tvm_target)
    else:
        module = _module_of_calls(plan, vector_bits=target.vector_bits)
    # Kernels check each argument's type, shape and alignment at every call. The machine that calls
    # them was compiled with them; leaving the checks out halves compile time and code.
    with tvm.transform.PassContext(config={"tirx.disable_assert": True}):
        return tvm.compile(module, tvm_target)


def _module_of_calls(plan: Plan, *, vector_bits: int) -> Any:
    """Return a module that makes the plan's calls; equal kernels are one function."""
    builder = relax.BlockBuilder()
    image = relax.Var("image", relax.TensorType(plan.input_shape, FLOAT))
    buffers: dict[str, Any] = {plan.calls[0].inputs[0]: image}
    functions: dict[KernelSpec, Any] = {}
    # No dataflow block: passes over those expect functions of blocks, and ours are plain loops.
    with builder.function("main", [image]):
        for call in plan.calls:
            if call.spec not in functions:
                code = write_kernel(call.spec, vector_bits=vector_bits)
                functions[call.spec] = builder.add_func(code, _name_of(call.spec))
            constants = [relax.const(one, FLOAT) for one in call.constants]
            first, *others = (buffers[name] for name in call.inputs)
            made = relax.call_tir(
                functions[call.spec],
                [first, *constants, *others],
                relax.TensorType((call.spec.target.size,), FLOAT),
            )
            buffers[call.output] = builder.emit(made)
        last = buffers[plan.calls[-1].output]
        builder.emit_func_output(builder.emit(relax.op.reshape(last, plan.output_shape)))
    return builder.get()


def _name_of(spec: KernelSpec) -> str:
    """Return what a profile calls the kernel; the builder makes it unique."""
    return type(spec).__name__.lower()


def _import_and_fuse(model: onnx.ModelProto, tvm_target: Any) -> Any:
    """Import with TVM's importer and fuse.

    Constants are left alone on purpose: FoldConstant compiles a kernel for each of them.
    """
    module = from_onnx(model, keep_params_in_input=False)
    with tvm_target:
        return tvm.ir.transform.Sequential(
            [
                relax.transform.DecomposeOpsForInference(),
                relax.transform.CanonicalizeBindings(),
                relax.transform.LegalizeOps(),
                relax.transform.AnnotateTIROpPattern(),
                relax.transform.FuseOps(),
                relax.transform.FuseTIR(),
            ]
        )(module)
