"""Write a network as one C function that calls its kernels in order, with all memory planned.

    arena     one static array; where each map lies in it, ``memory`` plans
    weights   a part of the library, read where it is mapped
    run       a call of each kernel, by its symbol, on tensors that are constants

So a run looks nothing up, needs no virtual machine, and allocates nothing once a first one has got
the scratch memory of kernels. What was compiled for one thread needs nothing of TVM's at all. The
functions are packed ones (TVMFFISafeCallType in tvm/ffi/c_api.h), so that TVM's loader, its time
evaluator and a device's server take the library as it is:

    network_run(image, answer)              one run; both are whole and begin at multiples of 64
    network_stamps(image, answer, stamps)   a run for each row of int64 [R, calls + 1]: the
                                            nanosecond in which each call begins, and the last ends
    network_answer_size(axis) -> int        of the answer; 0 past its last axis

One run at a time: all of a process share the arena.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cmpc_cost_models.compiling.aot_code import DECLARATIONS, HEAD, MEMORY, TAIL
from cmpc_cost_models.compiling.building import build
from cmpc_cost_models.compiling.memory import ALIGNMENT, Lifetime, aligned, place
from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.graphs.parts import Array
from cmpc_cost_models.plans.plan import Call, Plan
from cmpc_cost_models.plans.specs import KernelSpec

__all__ = ["AotNetwork", "calls_of", "write_network"]

SOURCE_NAME, WEIGHTS_NAME = "network.c", "weights.bin"
GIVEN = ("given[0]", "given[1]")  # the image and the answer: tensors of whoever calls
OPTIONS = ("-O2", "-shared", "-fPIC")

SymbolOf = Callable[[KernelSpec], str]
"""Returns what a kernel is called in its object file."""


def calls_of(plan: Plan) -> tuple[Call, ...] | None:
    """Return the plan's calls if one function can make them; ``None`` if a machine must.

    It can't make imported functions, nor answer with what no kernel computes.
    """
    calls = tuple(call for call in plan.calls if isinstance(call, Call))
    is_whole = len(calls) == len(plan.calls)
    return calls if is_whole and plan.output in {one.output for one in calls} else None


@dataclass(frozen=True, kw_only=True, slots=True)
class AotNetwork:
    """A network as one function, in C, and its weights.

    Attributes:
        symbols: Of the kernels that it calls, in order.
        declarations: Of its tensors and kernels, and the function itself.
        weights: All constants, each at a multiple of ``ALIGNMENT``.
    """

    symbols: tuple[str, ...]
    declarations: str
    weights: bytes
    arena_bytes: int

    def link(self, library: Path, objects: Sequence[Path], linker: str) -> None:
        """Compile it, and link it with the object files of its kernels.

        Raises:
            CompileFailed: the compiler or the linker refuses.
        """
        with tempfile.TemporaryDirectory(prefix="cmpc-network-") as folder:
            source, weights = Path(folder, SOURCE_NAME), Path(folder, WEIGHTS_NAME)
            weights.write_bytes(self.weights)
            source.write_text(self._source(weights), encoding="utf-8")
            build(linker, source, library, [*map(str, objects), *OPTIONS])

    def _source(self, weights: Path) -> str:
        memory = MEMORY.format(
            alignment=ALIGNMENT,
            path=_quoted(_quoted(str(weights)))[1:-1],  # a string of the assembler's in one of C's
            arena_bytes=max(self.arena_bytes, 1),
        )
        return "".join((HEAD.lstrip(), memory, self.declarations, TAIL))


def write_network(plan: Plan, symbol_of: SymbolOf) -> AotNetwork:
    """Return the function that makes the calls of ``plan``, whose constants are packed.

    Raises:
        BadArgument: one function can't make them, see ``calls_of``.
    """
    calls = calls_of(plan)
    if calls is None:
        raise BadArgument("one function must make all calls of a plan, and some are imported")
    return _Writer(plan, calls).network(symbol_of)


class _Writer:
    """Gives each tensor its place, and writes what refers to it."""

    def __init__(self, plan: Plan, calls: tuple[Call, ...]) -> None:
        self._plan, self._calls = plan, calls
        self._arena = place(_lifetimes(calls, plan.output))
        self._weights = bytearray()
        self._tensors: list[str] = []
        self._constants: dict[int, str] = {}  # what reads an array, by the array's identity
        self._buffers = {plan.input_name: "given[0]", plan.output: "given[1]"}

    def network(self, symbol_of: SymbolOf) -> AotNetwork:
        sizes = {one.output: one.spec.target.size for one in self._calls}
        for name, offset in self._arena.offsets.items():
            self._buffers[name] = self._tensor(f"arena + {offset}", sizes[name])
        for name, array in self._plan.stored.items():
            self._buffers[name] = self._constant(array)
        symbols = tuple(symbol_of(one.spec) for one in self._calls)
        calls = "\n".join(map(self._call, self._calls, symbols))  # declares the constants, too
        text = DECLARATIONS.format(
            kernels="\n".join(f"KERNEL({one})" for one in dict.fromkeys(symbols)),
            tensors="\n".join(self._tensors),
            calls=calls,
            answer_shape=", ".join(map(str, self._plan.output_shape)),
        )
        return AotNetwork(
            symbols=symbols,
            declarations=text,
            weights=bytes(self._weights),
            arena_bytes=self._arena.num_bytes,
        )

    def _call(self, call: Call, symbol: str) -> str:
        first, *others = (self._buffers[name] for name in call.inputs)
        constants = map(self._constant, call.constants)
        arguments = [first, *constants, *others, self._buffers[call.output]]
        storage = "" if any(one in GIVEN for one in arguments) else "static"
        return f"  CALL({symbol}, {storage}, {', '.join(arguments)})"

    def _constant(self, array: Array) -> str:
        """Return what reads a constant; an array that several calls read is one."""
        if id(array) not in self._constants:
            place = f"network_weights + {len(self._weights)}"
            self._constants[id(array)] = self._tensor(place, array.size)
            self._weights += array.tobytes()
            self._weights += bytes(aligned(len(self._weights)) - len(self._weights))
        return self._constants[id(array)]

    def _tensor(self, place: str, size: int) -> str:
        name = f"tensor_{len(self._tensors)}"
        self._tensors.append(f"TENSOR({name}, {place}, {size})")
        return f"AT({name})"


def _lifetimes(calls: Sequence[Call], answer: str) -> dict[str, Lifetime]:
    """Return when each buffer is needed that a call fills, but for the network's answer."""
    last = {}
    for number, call in enumerate(calls):
        last.update(dict.fromkeys((call.output, *call.inputs), number))
    return {
        call.output: Lifetime(num_bytes=_num_bytes(call), first=number, last=last[call.output])
        for number, call in enumerate(calls)
        if call.output != answer
    }


def _num_bytes(call: Call) -> int:
    return call.spec.target.size * call.spec.target.bytes_per_number


def _quoted(text: str) -> str:
    """Return ``text`` as a string of C's, or of the assembler's."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
