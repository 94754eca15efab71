"""What is computed so far, and what waits, while an ONNX graph becomes calls of our kernels.

The graph is read once, in order. A convolution is not called at once but waits: a residual, a ReLU
or a concatenation that alone reads it becomes part of it. Slices of channels are views. The rules
for each ONNX operator are in ``arithmetic_rules`` and ``shape_rules``.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from cmpc_cost_models.lowering.kernel_specs import Affine, Convolution, KernelSpec, Map, View

__all__ = ["Call", "NotOurs", "Planner", "Value", "Waiting"]

Array = npt.NDArray[Any]


class NotOurs(Exception):
    """The graph has a node that our kernels don't do; TVM's importer may."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One kernel at work: which buffers it reads and which it fills.

    Attributes:
        inputs: Names of buffers: the data first, then residual and kept maps.
        constants: Weights; a kernel takes them between its first input and the others.
    """

    spec: KernelSpec
    inputs: tuple[str, ...]
    constants: tuple[Array, ...]
    output: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """A tensor that is computed: a view into the buffer of some call."""

    buffer: str
    view: View


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A kernel whose call waits for what it may take in; its target has no border yet."""

    spec: Convolution | Affine
    inputs: tuple[str, ...]
    constants: tuple[Array, ...]


class Planner:
    """Collects calls while the rules walk over the nodes."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.calls: list[Call] = []
        self.values: dict[str, Value | Waiting] = {}
        self.norms: dict[str, tuple[str, float]] = {}  # norm -> (of which vector, smallest)
        self._constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self._borders = _needed_borders(graph)
        self._num_readers = Counter(name for node in graph.node for name in node.input)
        self._num_readers.update(value.name for value in graph.output)

    def is_constant(self, name: str) -> bool:
        return name in self._constants

    def constant(self, name: str) -> Array:
        if name not in self._constants:
            raise NotOurs(f"{name} is computed")
        return self._constants[name]

    def map(self, name: str, height: int, width: int, channels: int) -> Map:
        """Return how the map ``name`` is to be stored for those who read it."""
        border = self._borders.get(name, 0)
        return Map(height=height, width=width, channels=channels, border=border)

    def shape(self, name: str) -> tuple[int, int, int, int] | None:
        """Return the shape [N, C, H, W] that ``name`` is planned to have, if it is a map."""
        found = self.values.get(name)
        if found is None:
            return None
        if isinstance(found, Waiting):
            stored, channels = found.spec.target, found.spec.target.channels
        else:
            stored, channels = found.view.map, found.view.channels
        return (1, channels, stored.height, stored.width)

    def call(self, spec: KernelSpec, inputs: tuple[str, ...], name: str) -> None:
        """Call a kernel without constants, which fills the map ``name``."""
        self.calls.append(Call(spec=spec, inputs=inputs, constants=(), output=name))
        self.values[name] = Value(buffer=name, view=View.whole(spec.target))

    def value(self, name: str) -> Value:
        """Return the tensor ``name``, calling its kernel now if that still waits."""
        found = self.values.get(name)
        if found is None:
            raise NotOurs(f"{name} is no feature map")
        if isinstance(found, Value):
            return found
        target = replace(found.spec.target, border=self._borders.get(name, 0))
        spec = replace(found.spec, target=target)
        constants = tuple(np.ascontiguousarray(one, np.float32).ravel() for one in found.constants)
        self.calls.append(Call(spec=spec, inputs=found.inputs, constants=constants, output=name))
        value = Value(buffer=name, view=View.whole(target))
        self.values[name] = value
        return value

    def waiting(self, name: str) -> Waiting | None:
        """Return the kernel of ``name`` if it waits and nobody else reads its result."""
        found = self.values.get(name)
        is_free = isinstance(found, Waiting) and self._num_readers[name] == 1
        return found if isinstance(found, Waiting) and is_free else None

    def identity(self, name: str) -> Waiting:
        """Return a kernel that copies ``name`` and waits for something to do on the way."""
        source = self.value(name)
        view = source.view
        target = Map(height=view.map.height, width=view.map.width, channels=view.channels)
        return Waiting(
            spec=Affine(source=view, target=target),
            inputs=(source.buffer,),
            constants=(np.ones(view.channels), np.zeros(view.channels)),
        )


def _needed_borders(graph: onnx.GraphProto) -> dict[str, int]:
    """Return the zeros that each tensor needs around it for the convolutions that read it."""
    borders: dict[str, int] = {}
    for node in reversed(graph.node):
        if node.op_type == "Conv":
            pads = [pad for one in node.attribute if one.name == "pads" for pad in one.ints]
            needed = max(pads, default=0)
        elif node.op_type in ("Slice", "Identity"):  # views: their readers read the source
            needed = borders.get(node.output[0], 0)
        else:
            continue
        source = node.input[0]
        borders[source] = max(needed, borders.get(source, 0))
    return borders
