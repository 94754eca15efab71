"""What was compiled: a library, the kernels in it, what it calls and where its nodes went."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from cmpc_base.json_files import known_fields
from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.records.plain import PlainRecord

__all__ = ["ORIGINS", "CompiledNetwork", "KernelCall", "KernelRecord", "NodePath"]

ORIGINS = ("record", "similar", "rule", "importer")
PATHS = ("kernel", "folded", "import")
EXECUTORS = ("aot", "vm")
MAKERS = ("kernel", "import", "vm")


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelRecord(PlainRecord):
    """One function of a compiled network, as its writer knows it.

    Attributes:
        symbol: What the compiled network calls it.
        kind: What it computes, e.g. ``depthwise convolution``.
        shape: Of what size, e.g. ``3x3/2, 112x112x16 to 56x56x64``.
        flops: Counted: two for each multiply-add of one call. ``None`` where nobody could count
            them, as in some of the importer's loops.
        origin: Where its loops come from: a tuned ``record`` of this very workload, one of a
            ``similar`` workload, a ``rule``, or TVM's ``importer``, which leaves loops plain.
        num_bytes: Counted: what one call reads and writes, each value once; ``None`` where nobody
            could count it.
        workload: The key of what it computes for which kind of processor, see
            ``schedules.workload``; ``None`` where it is none of ours.
        schedule: The loops' parameters; ``None`` where there are none.
    """

    symbol: str
    kind: str
    shape: str
    flops: int | None
    origin: str
    num_bytes: int | None = None
    workload: str | None = None
    schedule: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.origin not in ORIGINS:
            raise BadArgument.among(ORIGINS, "origin of a kernel", self.origin)


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelCall(PlainRecord):
    """One call that a compiled network makes.

    Attributes:
        symbol: The function: that of a ``KernelRecord``, unless ``made_by`` is ``vm``.
        made_by: Who wrote it: ``kernel``, one of ours; ``import``, a loop of TVM's importer;
            ``vm``, a function of TVM's virtual machine, such as a view in another shape.
    """

    symbol: str
    made_by: str

    def __post_init__(self) -> None:
        if self.made_by not in MAKERS:
            raise BadArgument.among(MAKERS, "maker of a kernel", self.made_by)


@dataclass(frozen=True, kw_only=True, slots=True)
class NodePath(PlainRecord):
    """Which way one node of the ONNX graph took.

    Attributes:
        node, operator: Its name and its ONNX operator.
        path: ``kernel``, one of ours; ``folded`` into a constant or another node's kernel;
            ``import``, TVM's importer.
        kernel: The function that computes it; ``None`` where it was folded into a constant.
        reason: Of an import, why it is none of our kernels; ``None`` where another node is why.
    """

    node: str
    operator: str
    path: str
    kernel: str | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.path not in PATHS:
            raise BadArgument.among(PATHS, "path of a node", self.path)


@dataclass(frozen=True, kw_only=True, slots=True)
class CompiledNetwork:
    """A compiled network on disk: one shared library with code and weights.

    Attributes:
        path: The library.
        sha256: Hash of the library: what a measurement names and a bundle must contain.
        graph_sha256: Hash of the ONNX file it was compiled from.
        from_cache: Whether an earlier call had compiled it.
        compile_seconds: What compiling took when it was done.
        input_shape, output_shape: float32 tensors, batch first.
        num_threads: How many threads its loops are divided for.
        schedules_sha256: The state of the tuned schedules that it was compiled with; ``None`` where
            rules chose them all.
        executor: What makes its calls: ``aot``, one compiled function that works in an arena; or
            ``vm``, TVM's virtual machine, where some node is none of our kernels.
        kernels: Its functions, each once.
        calls: What one inference calls, in order, a function as often as it is called.
        nodes: Which way each node of the graph took.
    """

    path: Path
    sha256: str
    graph_sha256: str
    from_cache: bool
    compile_seconds: float
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    num_threads: int = 1
    schedules_sha256: str | None = None
    executor: str = "vm"  # as all were before there was another
    kernels: tuple[KernelRecord, ...] = ()
    calls: tuple[KernelCall, ...] = ()
    nodes: tuple[NodePath, ...] = ()

    def __post_init__(self) -> None:
        if self.executor not in EXECUTORS:
            raise BadArgument.among(EXECUTORS, "executor of a network", self.executor)

    def called_kernels(self) -> tuple[KernelRecord, ...]:
        """Return the function of each call, in order; calls of the virtual machine are left out."""
        records = {one.symbol: one for one in self.kernels}
        return tuple(records[one.symbol] for one in self.calls if one.made_by != "vm")

    def num_kernels_by_origin(self) -> dict[str, int]:
        """Return how many functions come from each origin; those from none are left out."""
        counts = Counter(kernel.origin for kernel in self.kernels)
        return {origin: counts[origin] for origin in ORIGINS if counts[origin]}

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "path": str(self.path),
            "input_shape": list(self.input_shape),
            "output_shape": list(self.output_shape),
            "kernels": [kernel.to_json() for kernel in self.kernels],
            "calls": [call.to_json() for call in self.calls],
            "nodes": [node.to_json() for node in self.nodes],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        values = known_fields(cls, document, error=BadArgument)
        shapes = {name: tuple(values[name]) for name in ("input_shape", "output_shape")}
        lists = {
            "kernels": tuple(KernelRecord.from_json(one) for one in values.get("kernels", ())),
            "calls": tuple(KernelCall.from_json(one) for one in values.get("calls", ())),
            "nodes": tuple(NodePath.from_json(one) for one in values.get("nodes", ())),
        }
        return cls(**values | shapes | lists | {"path": Path(values["path"])})
