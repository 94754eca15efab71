"""The records of which a plan is made: calls of kernels and imports, and where tensors lie."""

from collections.abc import Mapping
from dataclasses import dataclass

import onnx
from onnx import TensorProto

from cmpc_cost_models.graphs.parts import Array, Shape
from cmpc_cost_models.plans.maps import View
from cmpc_cost_models.plans.specs import Affine, Binary, Convolution, KernelSpec

__all__ = [
    "Call",
    "FusableKernel",
    "Image",
    "Import",
    "Kernel",
    "NotOurs",
    "Plan",
    "Planned",
    "PlannedNode",
    "Value",
]


class NotOurs(Exception):
    """A node that our kernels don't do; TVM's importer may."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One kernel at work: which buffers it reads and which it fills.

    Attributes:
        inputs: Names of buffers: the data first, then residual and kept maps.
        constants: Weights; a kernel takes them between its first input and the others.
        root: The tensor whose node began the kernel that later nodes became part of.
    """

    spec: KernelSpec
    inputs: tuple[str, ...]
    constants: tuple[Array, ...]
    output: str
    root: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """A tensor that is computed: a view into the buffer of some call."""

    buffer: str
    view: View


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """A tensor that lies in ONNX's order; ``element_type`` is ONNX's number of its type."""

    buffer: str
    shape: Shape
    element_type: int = TensorProto.FLOAT


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    """Neighbouring nodes that TVM's importer turns into one function.

    Attributes:
        inputs: The tensors they read, each with the image that holds it.
        outputs: All tensors they make, by name.
    """

    nodes: tuple[onnx.NodeProto, ...]
    inputs: dict[str, Image]
    outputs: tuple[str, ...]

    def only(self, outputs: tuple[str, ...]) -> "Import":
        """Return the same import with fewer outputs."""
        return Import(nodes=self.nodes, inputs=self.inputs, outputs=outputs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kernel:
    """A call that has no name for its result yet: what a rule returns.

    Attributes:
        inputs, constants: As those of a ``Call``.
        root: The tensor whose node began it; ``None`` for the one that the rule plans.
    """

    spec: KernelSpec
    inputs: tuple[str, ...]
    constants: tuple[Array, ...] = ()
    root: str | None = None

    @classmethod
    def of(cls, spec: KernelSpec, *sources: Value | Image) -> "Kernel":
        """Return a kernel without constants that reads ``sources``."""
        return cls(spec=spec, inputs=tuple(one.buffer for one in sources))


@dataclass(frozen=True, kw_only=True, slots=True)
class FusableKernel(Kernel):
    """A kernel whose call waits for what may be fused into it; its target has no border yet."""

    spec: Affine | Binary | Convolution

    @property
    def is_linear(self) -> bool:
        """Whether factors and shifts of channels may still be taken in, or a residual."""
        spec = self.spec
        if isinstance(spec, Binary) or spec.activation or spec.residual:
            return False
        return not (isinstance(spec, Affine) and spec.has_slopes)


Planned = Kernel | Value | Image
"""What becomes of one result of a node."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedNode:
    """What became of one node of the graph.

    Attributes:
        call: Which call of the plan computes it; ``None`` if it needs none of its own.
        reason: Why it was left to the importer, if it was.
    """

    name: str
    operator: str
    call: int | None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All that is done to compute a network, in order.

    Attributes:
        model: The graph, whose constants the imported nodes read.
        input_name: The buffer of the network's input, of ``input_shape``.
        output: The buffer of its result, to be read as ``output_shape``.
        stored: Constants that are operands, as flat maps.
    """

    model: onnx.ModelProto
    input_name: str
    input_shape: Shape
    output: str
    output_shape: Shape
    calls: tuple[Call | Import, ...]
    stored: Mapping[str, Array]
    nodes: tuple[PlannedNode, ...]

    @property
    def num_imported(self) -> int:
        """How many nodes TVM imports."""
        return sum(len(call.nodes) for call in self.calls if isinstance(call, Import))
