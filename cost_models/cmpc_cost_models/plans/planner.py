"""What is computed so far, and what waits, while an ONNX graph becomes calls of kernels.

The graph is read once, in order. A convolution is not called at once but waits: a residual, an
activation or a concatenation that alone reads it becomes part of it. Slices of channels are views.
A tensor lies as a map (our order), as an image (ONNX's order), or as both; the kernel that changes
the order is called when somebody needs the other one. The rules for the ONNX operators are in the
``*_rules`` files; a node that none of them takes is left to TVM's importer.
"""

from collections import Counter
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, numpy_helper

from cmpc_cost_models.graphs.parts import all_inputs, opset_of
from cmpc_cost_models.plans.borders import needed_borders
from cmpc_cost_models.plans.calls import (
    Call,
    Grouped,
    Image,
    Import,
    NotOurs,
    Value,
    Waiting,
)
from cmpc_cost_models.plans.specs import (
    Activation,
    Affine,
    ImageToMap,
    KernelSpec,
    Map,
    MapToImage,
    Pad,
    View,
)

__all__ = ["Planner"]

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


class Planner:
    """Collects calls while the rules walk over the nodes.

    Args:
        shapes: The shape of each tensor, those that are computed for one image of the batch.
        element_types: ONNX's number of each tensor's type; float32 where it is missing.
    """

    def __init__(
        self, model: onnx.ModelProto, shapes: dict[str, Shape], element_types: dict[str, int]
    ) -> None:
        graph = model.graph
        self.opset = opset_of(model)
        self.calls: list[Call | Import] = []
        self.values: dict[str, Value | Waiting] = {}
        self.images: dict[str, Image] = {}
        self.grouped: dict[str, Grouped] = {}
        self.gates: dict[str, tuple[str, Activation]] = {}  # gate -> (of what, which function)
        self.norms: dict[str, tuple[str, float]] = {}  # norm -> (of which vector, smallest)
        self.deferred: dict[str, Callable[[], None]] = {}  # computed only if somebody asks
        self.stored: dict[str, Array] = {}  # constants that are operands, as flat maps
        self.unshaped: set[str] = set()  # imported tensors of no fixed shape
        self.reasons: dict[str, str] = {}  # result of a node -> why no rule took it
        self._constants = {one.name: one for one in graph.initializer}
        self._shapes = shapes
        self._element_types = element_types
        self._borders = needed_borders(graph, shapes)
        self._given_names = {
            name for node in graph.node for name in (*all_inputs(node), *node.output)
        }
        self._num_readers = Counter(name for node in graph.node for name in all_inputs(node))
        self._num_readers.update(value.name for value in graph.output)

    def made_up(self, name: str, purpose: str) -> str:
        """Return a name for a tensor that is not in the graph, always the same one."""
        made = f"{name}:{purpose}"
        while made in self._given_names:
            made += "*"
        return made

    def is_constant(self, name: str) -> bool:
        return name in self._constants

    def is_computed(self, name: str) -> bool:
        """Return whether ``name`` is planned: computed, waiting or remembered."""
        tables = (self.values, self.images, self.deferred, self.grouped, self.unshaped)
        return any(name in one for one in tables)

    def constant(self, name: str) -> Array:
        if name not in self._constants:
            raise NotOurs(f"{name} is computed")
        return numpy_helper.to_array(self._constants[name])

    def shape(self, name: str) -> Shape:
        """Return the shape that ONNX says ``name`` has."""
        if name not in self._shapes:
            raise NotOurs(f"the shape of {name} is not known")
        return self._shapes[name]

    def has_shape(self, name: str) -> bool:
        return name in self._shapes

    def element_type(self, name: str) -> int:
        """Return ONNX's number of a tensor's type."""
        return self._element_types.get(name, TensorProto.FLOAT)

    def num_readers(self, name: str) -> int:
        return self._num_readers[name]

    def map(self, name: str) -> Map:
        """Return how ``name``, [1, C, H, W] or [1, C], is to be stored for those who read it."""
        shape = self.shape(name)
        if len(shape) not in (2, 4) or shape[0] != 1 or 0 in shape:
            raise NotOurs(f"{name} of shape {shape} is no map")
        channels, height, width = (*shape[1:], 1, 1)[:3]
        border = self._borders.get(name, 0)
        return Map(height=height, width=width, channels=channels, border=border)

    def planned(self, name: str) -> Shape | None:
        """Return the shape [1, C, H, W] that ``name`` is planned to have, if it is a map."""
        found = self.values.get(name)
        if found is None:
            return None
        if isinstance(found, Waiting):
            stored, channels = found.spec.target, found.spec.target.channels
        else:
            stored, channels = found.view.map, found.view.channels
        return (1, channels, stored.height, stored.width)

    def call(self, spec: KernelSpec, inputs: tuple[str, ...], name: str) -> Value:
        """Call a kernel without constants, which fills the map ``name``."""
        self.calls.append(Call(spec=spec, inputs=inputs, constants=(), output=name, root=name))
        value = Value(buffer=name, view=View.whole(spec.target))
        self.values[name] = value
        return value

    def value(self, name: str) -> Value:
        """Return the map ``name``, calling now what waits or brings it into our order."""
        if name not in self.values and name in self.deferred:
            self.deferred.pop(name)()
        found = self.values.get(name)
        if isinstance(found, Value):
            return found
        if isinstance(found, Waiting):
            return self._start(found, name)
        if name in self.images:
            return self._map_of_image(name, self.images[name])
        raise NotOurs(f"{name} is no feature map")

    def image(self, name: str) -> Image:
        """Return the tensor ``name`` in ONNX's order, calling now what brings it there."""
        if name not in self.values and name in self.deferred:
            self.deferred.pop(name)()
        if name not in self.images:
            value = self.value(name)
            buffer = self._in_onnx_order(value, self.made_up(name, "image"))
            self.images[name] = Image(buffer=buffer, shape=self.shape(name))
        return self.images[name]

    def hold_image(self, name: str, buffer: str) -> None:
        """Note that ``buffer`` holds the tensor ``name`` in ONNX's order."""
        self.images[name] = Image(buffer=buffer, shape=self.shape(name))

    def operand(self, name: str, rank: int) -> Value:
        """Return what an operator of ``rank`` axes reads: a map, or a constant stored as one."""
        if not self.is_constant(name):
            if len(self.shape(name)) != rank:
                raise NotOurs(f"{name} has another rank than what it meets")
            return self.value(name)
        array = self.constant(name)
        shape = (1,) * (rank - array.ndim) + array.shape
        if rank not in (2, 4) or len(shape) != rank or shape[0] != 1 or array.dtype != np.float32:
            raise NotOurs(f"{name} can't be stored as a map")
        maps = array.reshape((*shape[1:], 1, 1)[:3])
        buffer = self.made_up(name, "map")
        self.stored[buffer] = np.ascontiguousarray(maps.transpose(1, 2, 0)).ravel()
        channels, height, width = maps.shape
        whole = Map(height=height, width=width, channels=channels)
        return Value(buffer=buffer, view=View.whole(whole))

    def waiting(self, name: str, *, num_readers: int = 1) -> Waiting | None:
        """Return the kernel of ``name`` if it waits and nobody else reads its result."""
        if name not in self.values and name in self.deferred:
            self.deferred.pop(name)()
        found = self.values.get(name)
        is_free = self._num_readers[name] == num_readers
        return found if isinstance(found, Waiting) and is_free else None

    def identity(self, name: str, root: str) -> Waiting:
        """Return a kernel that copies ``name`` and waits for what ``root`` does on the way."""
        source = self.value(name)
        view = source.view
        target = Map(height=view.map.height, width=view.map.width, channels=view.channels)
        return Waiting(
            spec=Affine(source=view, target=target),
            inputs=(source.buffer,),
            constants=(np.ones(view.channels), np.full(view.channels, -0.0)),  # -0 + 0 is 0
            root=root,
        )

    def bordered(self, value: Value, border: int) -> Value:
        """Return ``value`` with at least so many zeros around it."""
        view = value.view
        if view.map.border >= border:
            return value
        size = Map(height=view.map.height, width=view.map.width, channels=view.channels)
        spec = Pad(source=view, target=replace(size, border=border), offset=(0, 0))
        return self.call(
            spec, (value.buffer,), self.made_up(value.buffer, f"bordered {len(self.calls)}")
        )

    def leave_to_importer(self, node: onnx.NodeProto) -> None:
        """Let TVM import ``node``, together with the nodes before it if those are imported.

        Raises:
            NotOurs: it reads a tensor whose shape is not known.
        """
        last = self.calls[-1] if self.calls else None
        made = last.outputs if isinstance(last, Import) else ()
        names = [one for one in dict.fromkeys(all_inputs(node)) if self.is_computed(one)]
        num_calls = len(self.calls)
        images = {name: self.image(name) for name in names if name not in made}
        outputs = tuple(name for name in node.output if name)
        # What it makes can be read inside only under its own name, not in another shape.
        is_made = any(image.buffer in made for image in images.values())
        if isinstance(last, Import) and len(self.calls) == num_calls and not is_made:
            self.calls[-1] = Import(
                nodes=(*last.nodes, node),
                inputs=last.inputs | images,
                outputs=(*last.outputs, *outputs),
            )
        else:
            images = {name: self.image(name) for name in names}
            self.calls.append(Import(nodes=(node,), inputs=images, outputs=outputs))
        for name in outputs:
            self._note_import(name)

    def state(self) -> tuple[Any, ...]:
        """Return what ``restore`` needs to undo all that comes after."""
        return tuple(copy(getattr(self, name)) for name in _MUTABLE)

    def restore(self, state: tuple[Any, ...]) -> None:
        for name, value in zip(_MUTABLE, state, strict=True):
            setattr(self, name, value)

    def _note_import(self, name: str) -> None:
        self.values.pop(name, None)
        if name not in self._shapes:
            self.unshaped.add(name)  # may only be read by further imports
        else:
            shape, kind = self._shapes[name], self.element_type(name)
            self.images[name] = Image(buffer=name, shape=shape, element_type=kind)

    def _start(self, waiting: Waiting, name: str) -> Value:
        """Call a kernel that waited."""
        border = self._borders.get(name, 0)
        spec = replace(waiting.spec, target=replace(waiting.spec.target, border=border))
        constants = tuple(
            np.ascontiguousarray(one, np.float32).ravel() for one in waiting.constants
        )
        call = Call(
            spec=spec, inputs=waiting.inputs, constants=constants, output=name, root=waiting.root
        )
        self.calls.append(call)
        value = Value(buffer=name, view=View.whole(spec.target))
        self.values[name] = value
        return value

    def _map_of_image(self, name: str, image: Image) -> Value:
        """Bring what lies in ONNX's order into ours."""
        if image.element_type != TensorProto.FLOAT:
            raise NotOurs(f"{name} does not hold float32 numbers")
        target = self.map(name)
        if len(image.shape) == 2 and image.shape[0] == 1:  # of one pixel: both orders are one
            whole = View.whole(replace(target, border=0))
            self.values[name] = value = Value(buffer=image.buffer, view=whole)
            return value
        if len(image.shape) != 4:
            raise NotOurs(f"{name} of shape {image.shape} is no map")
        spec = ImageToMap(target=target, batch=image.shape[0])
        value = self.call(spec, (image.buffer,), self.made_up(name, "map"))
        self.values[name] = value
        return value

    def _in_onnx_order(self, value: Value, name: str) -> str:
        """Return the buffer that holds ``value`` channel by channel."""
        view = value.view
        has_one_order = 1 in (view.channels, view.map.height * view.map.width)
        if has_one_order and view == View.whole(view.map) and not view.map.border:
            return value.buffer
        spec = MapToImage(source=view)
        self.call(spec, (value.buffer,), name)
        return name


_MUTABLE = (
    "calls",
    "deferred",
    "gates",
    "grouped",
    "images",
    "norms",
    "stored",
    "unshaped",
    "values",
)
