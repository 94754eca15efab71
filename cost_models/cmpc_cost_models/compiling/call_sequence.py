"""Which functions does a network call, in which order? Read from the module that TVM compiles."""

from collections.abc import Iterator
from typing import Any

from tvm import ir, relax

from cmpc_cost_models.records import KernelCall

__all__ = ["calls_of"]


def calls_of(module: Any, function: str = "main") -> Iterator[KernelCall]:
    """Yield what one run of ``function`` calls; a function of TVM's importer is its loops.

    The virtual machine's own calls are those that the module has, such as views in another shape.
    What TVM adds while it compiles, to check arguments and to allocate memory, is not among them.
    """
    for block in module[function].body.blocks:
        for binding in block.bindings:
            if isinstance(binding.value, relax.Call):
                yield from _calls_in(binding.value, module)


def _calls_in(call: Any, module: Any) -> Iterator[KernelCall]:
    if isinstance(call.op, ir.GlobalVar):
        yield from calls_of(module, call.op.name_hint)
    elif call.op.name == "relax.call_dps_packed":
        yield KernelCall(symbol=str(call.args[0].global_symbol), made_by="kernel")
    elif call.op.name == "relax.call_tir":
        yield KernelCall(symbol=call.args[0].name_hint, made_by="import")
    elif call.op.name != "relax.null_value":
        yield KernelCall(symbol=call.op.name, made_by="vm")
