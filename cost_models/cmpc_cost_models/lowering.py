"""Turn an ONNX graph into a TVM executable, any graph that TVM's importer knows.

``tvm.compile`` on a CPU neither fuses nor schedules. The passes below fuse; constants are left
alone on purpose, because TVM's FoldConstant compiles a kernel for each of them: our graphs come
with their constants folded.
"""

from typing import Any

import onnx
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

from cmpc_cost_models.targets import Target

__all__ = ["build_executable"]


def build_executable(model: onnx.ModelProto, target: Target) -> Any:
    """Return the Relax executable of ``model``, its weights inside."""
    tvm_target = tvm.target.Target(target.to_tvm())
    module = from_onnx(model, keep_params_in_input=False)
    with tvm_target:
        module = tvm.ir.transform.Sequential(
            [
                relax.transform.DecomposeOpsForInference(),
                relax.transform.CanonicalizeBindings(),
                relax.transform.LegalizeOps(),
                relax.transform.AnnotateTIROpPattern(),
                relax.transform.FuseOps(),
                relax.transform.FuseTIR(),
            ]
        )(module)
    return tvm.compile(module, tvm_target)
