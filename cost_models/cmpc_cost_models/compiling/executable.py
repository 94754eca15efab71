"""Turn an ONNX graph into a TVM executable, and say what it is made of.

    graph --plans--> calls --schedules, objects--> object files
                           --assembling--> module --TVM--> executable that links to them

What our kernels don't do goes through TVM's importer (``importing``): it is fused, but its kernels
are the plain loops of ``tvm.compile``, tens of times slower.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import tvm
from tvm.support import cc

from cmpc_cost_models.compiling.assembling import Assembled, assemble
from cmpc_cost_models.compiling.objects import KernelObject, KernelObjects, compile_module
from cmpc_cost_models.compiling.options import BuildOptions
from cmpc_cost_models.kernels.code import pack_constants
from cmpc_cost_models.kernels.facts import foreign_records, kernel_record
from cmpc_cost_models.plans.plan import Call, Plan
from cmpc_cost_models.plans.planner import plan_network
from cmpc_cost_models.plans.specs import KernelSpec
from cmpc_cost_models.records import KernelCall, KernelRecord, NodePath
from cmpc_cost_models.schedules.schedule import Origin, Schedule
from cmpc_cost_models.schedules.workload import Workload
from cmpc_cost_models.targets.target import Target

__all__ = ["BuiltNetwork", "build_executable", "export_library"]

Arrays = tuple[npt.NDArray[np.float32], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltNetwork:
    """A Relax executable, its weights inside, and what is in it.

    Attributes:
        executable: TVM's ``VMExecutable``; only the library exported from it can run.
        kernels: Its functions, each once.
        calls: What one inference calls, in order.
        nodes: Which way each node of the graph took.
    """

    executable: Any
    kernels: tuple[KernelRecord, ...]
    calls: tuple[KernelCall, ...]
    nodes: tuple[NodePath, ...]


def build_executable(model: onnx.ModelProto, options: BuildOptions) -> BuiltNetwork:
    """Build ``model``, as ``reading.load_graph`` reads it.

    Raises:
        CompileFailed: an operator is neither ours nor one that TVM takes.
    """
    plan, target = plan_network(model), options.target
    specs = dict.fromkeys(call.spec for call in plan.calls if isinstance(call, Call))
    workloads = (Workload.of(one, target, num_threads=options.num_threads) for one in specs)
    kernels = _Kernels(dict(zip(specs, workloads, strict=True)), options)
    assembled = assemble(kernels.pack(plan), kernels.symbol)
    module = assembled.module.with_attr("external_mods", kernels.libraries())
    return BuiltNetwork(
        executable=compile_module(module, target),
        kernels=kernels.records(assembled),
        calls=assembled.calls,
        nodes=assembled.nodes,
    )


def export_library(built: BuiltNetwork, target: Target, library: Path, *, linker: str) -> None:
    """Link a network for ``target`` with its kernels and its weights."""
    pack = tvm.get_global_func("runtime.ModulePackImportsToLLVM")

    def pack_imports(module: Any, is_system_lib: bool, prefix: str, folder: str) -> str:
        """Write the weights for the target; TVM takes this machine where it has no loops itself."""
        path = f"{folder}/weights.o"
        pack(module, is_system_lib, json.dumps(target.to_tvm()), prefix).write_to_file(path)
        return path

    built.executable.export_library(
        str(library), fcompile=cc.cross_compiler(linker), fpack_imports=pack_imports
    )


class _Kernels:
    """The kernels of one network: their schedules, their code, their constants."""

    def __init__(self, workloads: dict[KernelSpec, Workload], options: BuildOptions) -> None:
        objects = KernelObjects(options.objects_dir, options.target)
        self._workloads = workloads
        self._found: dict[KernelSpec, tuple[Schedule, Origin]] = {
            spec: options.schedules.find(workload) for spec, workload in workloads.items()
        }
        self._objects: dict[KernelSpec, KernelObject] = {
            spec: objects.find_or_compile(workload, self._found[spec][0])
            for spec, workload in workloads.items()
        }

    def symbol(self, spec: KernelSpec) -> str:
        return self._objects[spec].symbol

    def libraries(self) -> list[Any]:
        """Return TVM's modules of the object files, to be linked with the network."""
        return [
            tvm.runtime.load_static_library(str(one.path), [one.symbol])
            for one in self._objects.values()
        ]

    def pack(self, plan: Plan) -> Plan:
        """Return ``plan`` with constants as its kernels read them; what was one array stays one."""
        packed: dict[tuple[KernelSpec, int], Arrays] = {}
        calls = []
        for call in plan.calls:
            if isinstance(call, Call) and call.constants:
                key = (call.spec, id(call.constants[0]))
                if key not in packed:
                    schedule = self._found[call.spec][0]
                    packed[key] = pack_constants(call.spec, schedule, call.constants)
                call = dataclasses.replace(call, constants=packed[key])
            calls.append(call)
        return dataclasses.replace(plan, calls=tuple(calls))

    def records(self, assembled: Assembled) -> tuple[KernelRecord, ...]:
        ours = []
        for symbol, spec in assembled.kernels.items():
            schedule, origin = self._found[spec]
            ours.append(kernel_record(symbol, self._workloads[spec], origin, schedule.to_json()))
        return (*ours, *foreign_records(assembled.module))
