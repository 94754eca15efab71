"""Turn an ONNX graph into what links to one library, and say what it is made of.

    graph --plans--> calls --schedules, objects--> object files of kernels
                           --aot--> one function in C that calls them
                           --assembling--> module --TVM--> executable of TVM's virtual machine

What our kernels don't do goes through TVM's importer (``importing``): it is fused, but its kernels
are the plain loops of ``tvm.compile``, tens of times slower. A network with such nodes needs the
machine; all others do without.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnx
import tvm
from tvm.support import cc

from cmpc_cost_models.compiling.aot import calls_of, write_network
from cmpc_cost_models.compiling.assembling import assemble
from cmpc_cost_models.compiling.objects import KernelObject, KernelObjects, compile_module
from cmpc_cost_models.compiling.options import BuildOptions
from cmpc_cost_models.compiling.paths import node_paths
from cmpc_cost_models.kernels.code import pack_constants
from cmpc_cost_models.kernels.facts import foreign_records, kernel_record
from cmpc_cost_models.plans.plan import Call, Plan
from cmpc_cost_models.plans.planner import plan_network
from cmpc_cost_models.plans.specs import KernelSpec
from cmpc_cost_models.records import KernelCall, KernelRecord, NodePath
from cmpc_cost_models.schedules.schedule import Origin, Schedule
from cmpc_cost_models.schedules.workload import Workload
from cmpc_cost_models.targets.target import Target

__all__ = ["BuiltNetwork", "build_network"]

Arrays = tuple[npt.NDArray[np.float32], ...]


class Program(Protocol):
    """A network's code without that of its kernels."""

    def link(self, library: Path, objects: Sequence[Path], linker: str) -> None:
        """Link it with the object files of its kernels and its weights."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltNetwork:
    """A network that is yet to be linked, and what is in it.

    Attributes:
        executor: What makes its calls, see ``CompiledNetwork``.
        objects: The object files of its kernels.
        kernels: Its functions, each once.
        calls: What one inference calls, in order.
        nodes: Which way each node of the graph took.
    """

    program: Program
    executor: str
    objects: tuple[Path, ...]
    kernels: tuple[KernelRecord, ...]
    calls: tuple[KernelCall, ...]
    nodes: tuple[NodePath, ...]

    def link(self, library: Path, linker: str) -> None:
        """Write the library, with all code and weights in it.

        Raises:
            CompileFailed: the linker refuses.
        """
        self.program.link(library, self.objects, linker)


def build_network(model: onnx.ModelProto, options: BuildOptions) -> BuiltNetwork:
    """Build ``model``, as ``reading.load_graph`` reads it.

    Raises:
        CompileFailed: an operator is neither ours nor one that TVM takes.
    """
    plan, target = plan_network(model), options.target
    specs = dict.fromkeys(call.spec for call in plan.calls if isinstance(call, Call))
    workloads = (Workload.of(one, target, num_threads=options.num_threads) for one in specs)
    kernels = _Kernels(dict(zip(specs, workloads, strict=True)), options)
    build = _build_for_machine if calls_of(plan) is None else _build_ahead
    return build(kernels.pack(plan), kernels, target)


def _build_ahead(plan: Plan, kernels: "_Kernels", target: Target) -> BuiltNetwork:
    program = write_network(plan, kernels.symbol)
    return BuiltNetwork(
        program=program,
        executor="aot",
        objects=kernels.objects(),
        kernels=kernels.records(),
        calls=tuple(KernelCall(symbol=one, made_by="kernel") for one in program.symbols),
        nodes=tuple(node_paths(plan, program.symbols)),
    )


def _build_for_machine(plan: Plan, kernels: "_Kernels", target: Target) -> BuiltNetwork:
    assembled = assemble(plan, kernels.symbol)
    module = assembled.module.with_attr("external_mods", kernels.libraries())
    return BuiltNetwork(
        program=_MachineProgram(executable=compile_module(module, target), target=target),
        executor="vm",
        objects=(),  # the executable has them in it
        kernels=(*kernels.records(), *foreign_records(assembled.module)),
        calls=assembled.calls,
        nodes=assembled.nodes,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _MachineProgram:
    """Code for TVM's virtual machine: a ``VMExecutable``, with kernels and weights in it."""

    executable: Any
    target: Target

    def link(self, library: Path, objects: Sequence[Path], linker: str) -> None:
        pack = tvm.get_global_func("runtime.ModulePackImportsToLLVM")

        def pack_imports(module: Any, is_system_lib: bool, prefix: str, folder: str) -> str:
            """Write the weights for the target; else TVM takes this machine for want of loops."""
            path = f"{folder}/weights.o"
            target = json.dumps(self.target.to_tvm())
            pack(module, is_system_lib, target, prefix).write_to_file(path)
            return path

        self.executable.export_library(
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

    def objects(self) -> tuple[Path, ...]:
        return tuple(one.path for one in self._objects.values())

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

    def records(self) -> tuple[KernelRecord, ...]:
        return tuple(
            kernel_record(self.symbol(spec), self._workloads[spec], origin, schedule.to_json())
            for spec, (schedule, origin) in self._found.items()
        )
