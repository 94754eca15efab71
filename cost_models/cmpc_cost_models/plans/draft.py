"""What planning one node would add to a plan: rules write into a draft, and the planner takes it.

A tensor lies as a map (our order), as an image (ONNX's order), or as both; the kernel that changes
the order is called when somebody needs the other one. A kernel that may take in what follows waits
for it, and is called when somebody reads its result. All of that goes into the draft: where a rule
gives up in the middle, the draft is dropped and the plan is as it was.
"""

from collections import ChainMap, Counter
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from onnx import helper

from cmpc_cost_models.graphs.graph import Graph
from cmpc_cost_models.graphs.parts import Array, Shape, all_inputs
from cmpc_cost_models.plans.maps import KERNEL_DTYPES, DType, Map, View
from cmpc_cost_models.plans.padding import needed_borders
from cmpc_cost_models.plans.plan import (
    Call,
    FusableKernel,
    Image,
    Import,
    Kernel,
    NotOurs,
    Planned,
    Value,
)
from cmpc_cost_models.plans.specs import Affine, ImageToMap, MapToImage, Pad

__all__ = ["Demand", "Draft", "Progress"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """What all nodes together want of each tensor.

    Attributes:
        num_readers: How often it is read; being a result of the graph counts, too.
        borders: How many zeros its readers want around it.
    """

    num_readers: Counter[str]
    borders: dict[str, int]

    @classmethod
    def of(cls, nodes: Iterable[onnx.NodeProto], graph: Graph) -> "Demand":
        nodes = tuple(nodes)
        readers = Counter(name for node in nodes for name in all_inputs(node))
        readers.update(graph.outputs)
        return cls(num_readers=readers, borders=needed_borders(nodes, graph))


@dataclass(kw_only=True, slots=True)
class Progress:
    """What is planned so far: calls in order, and where each tensor lies.

    Attributes:
        values: Tensors in our order, and kernels that wait for what may be fused into them.
        images: Tensors in ONNX's order.
        stored: Constants that are operands, as flat maps.
        unshaped: Imported tensors of no fixed shape: only further imports may read them.
    """

    calls: list[Call | Import] = field(default_factory=list)
    values: MutableMapping[str, Value | FusableKernel] = field(default_factory=dict)
    images: MutableMapping[str, Image] = field(default_factory=dict)
    stored: MutableMapping[str, Array] = field(default_factory=dict)
    unshaped: set[str] = field(default_factory=set)

    def has(self, name: str) -> bool:
        """Return whether ``name`` is planned."""
        return name in self.values or name in self.images or name in self.unshaped


class Draft:
    """Answers what a rule asks of the graph and of the plan, and collects what that takes.

    Attributes:
        graph: The graph that is planned.
    """

    def __init__(self, graph: Graph, demand: Demand, progress: Progress) -> None:
        self.graph, self._added = graph, Progress()
        self._demand, self._progress = demand, progress
        self._values = ChainMap(self._added.values, progress.values)
        self._images = ChainMap(self._added.images, progress.images)

    @property
    def calls_anything(self) -> bool:
        """Whether there is a call in it."""
        return bool(self._added.calls)

    def commit(self) -> None:
        """Make it part of what is planned; for the planner alone."""
        self._progress.calls += self._added.calls
        self._progress.values.update(self._added.values)
        self._progress.images.update(self._added.images)
        self._progress.stored.update(self._added.stored)

    def constant(self, name: str) -> Array:
        """Return the numbers of ``name``.

        Raises:
            NotOurs: it is computed.
        """
        value = self.graph.constant(name)
        if value is None:
            raise NotOurs(f"{name} is computed")
        return value

    def shape(self, name: str) -> Shape:
        """Return the shape that ONNX says ``name`` has.

        Raises:
            NotOurs: it is not known.
        """
        shape = self.graph.shape(name)
        if shape is None:
            raise NotOurs(f"the shape of {name} is not known")
        return shape

    def map(self, name: str) -> Map:
        """Return how ``name``, [1, C, H, W] or [1, C], is to be stored for those who read it."""
        shape = self.shape(name)
        if len(shape) not in (2, 4) or shape[0] != 1 or 0 in shape:
            raise NotOurs(f"{name} of shape {shape} is no map")
        channels, height, width = (*shape[1:], 1, 1)[:3]
        border = self._demand.borders.get(name, 0)
        return Map(height=height, width=width, channels=channels, border=border)

    def dtype(self, name: str, image: Image) -> DType:
        """Return the type of the numbers of ``name``, which lies as ``image``.

        Raises:
            NotOurs: no kernel takes it.
        """
        return _kernel_dtype(name, helper.tensor_dtype_to_np_dtype(image.element_type))

    def made_up(self, name: str, purpose: str) -> str:
        """Return a name for a tensor that is not in the graph, always the same one."""
        made = f"{name}:{purpose}"
        while made in self.graph.tensor_names:
            made += "*"
        return made

    def value(self, name: str) -> Value:
        """Return the map ``name``, calling now what waits or brings it into our order."""
        found = self._values.get(name)
        if isinstance(found, Value):
            return found
        if isinstance(found, FusableKernel):
            return self._start(found, name)
        if name in self._images:
            return self._map_of_image(name, self._images[name])
        raise NotOurs(f"{name} is no feature map")

    def image(self, name: str) -> Image:
        """Return the tensor ``name`` in ONNX's order, calling now what brings it there."""
        if name not in self._images:
            buffer = self._in_onnx_order(self.value(name), self.made_up(name, "image"))
            self._added.images[name] = Image(buffer=buffer, shape=self.shape(name))
        return self._images[name]

    def operand(self, name: str, rank: int) -> Value:
        """Return what an operator of ``rank`` axes reads: a map, or a constant stored as one."""
        array = self.graph.constant(name)
        if array is None:
            if len(self.shape(name)) != rank:
                raise NotOurs(f"{name} has another rank than what it meets")
            return self.value(name)
        shape = (1,) * (rank - array.ndim) + array.shape
        if rank not in (2, 4) or len(shape) != rank or shape[0] != 1:
            raise NotOurs(f"{name} can't be stored as a map")
        dtype = _kernel_dtype(name, array.dtype)
        maps = array.reshape((*shape[1:], 1, 1)[:3])
        buffer = self.made_up(name, "map")
        self._added.stored[buffer] = np.ascontiguousarray(maps.transpose(1, 2, 0)).ravel()
        channels, height, width = maps.shape
        whole = Map(height=height, width=width, channels=channels, dtype=dtype)
        return Value(buffer=buffer, view=View.whole(whole))

    def fusable(self, name: str) -> FusableKernel | None:
        """Return the kernel of ``name`` if it waits and nobody else reads its result."""
        found = self._values.get(name)
        is_alone = self._demand.num_readers[name] == 1
        return found if isinstance(found, FusableKernel) and is_alone else None

    def identity(self, name: str) -> FusableKernel:
        """Return a kernel that copies ``name`` and changes it on the way."""
        source = self.value(name)
        view = source.view
        return FusableKernel(
            spec=Affine(source=view, target=view.alone),
            inputs=(source.buffer,),
            constants=(np.ones(view.channels), np.full(view.channels, -0.0)),  # -0 + 0 is 0
        )

    def bordered(self, value: Value, border: int) -> Value:
        """Return ``value`` with at least so many zeros around it."""
        view = value.view
        if view.map.border >= border:
            return value
        spec = Pad(source=view, target=replace(view.alone, border=border), offset=(0, 0))
        number = len(self._progress.calls) + len(self._added.calls)
        name = self.made_up(value.buffer, f"bordered {number}")
        return self.call(Kernel.of(spec, value), name)

    def call(self, kernel: Kernel, name: str) -> Value:
        """Call a kernel that fills the map ``name``."""
        call = Call(
            spec=kernel.spec,
            inputs=kernel.inputs,
            constants=tuple(
                np.ascontiguousarray(one, kernel.spec.target.dtype).ravel()
                for one in kernel.constants
            ),
            output=name,
            root=kernel.root or name,
        )
        self._added.calls.append(call)
        self._added.values[name] = value = Value(buffer=name, view=View.whole(kernel.spec.target))
        return value

    def hold(self, name: str, planned: Planned) -> None:
        """Note what a rule returned for ``name``."""
        if isinstance(planned, Image):
            self._added.images[name] = planned
        elif isinstance(planned, Value):
            self._added.values[name] = planned
        elif isinstance(planned, FusableKernel):
            self._added.values[name] = replace(planned, root=planned.root or name)
        else:
            self.call(planned, name)

    def _start(self, kernel: FusableKernel, name: str) -> Value:
        """Call a kernel that waited."""
        target = replace(kernel.spec.target, border=self._demand.borders.get(name, 0))
        return self.call(replace(kernel, spec=replace(kernel.spec, target=target)), name)

    def _map_of_image(self, name: str, image: Image) -> Value:
        """Bring what lies in ONNX's order into ours."""
        target = replace(self.map(name), dtype=self.dtype(name, image))
        if len(image.shape) == 2 and image.shape[0] == 1:  # of one pixel: both orders are one
            value = Value(buffer=image.buffer, view=View.whole(replace(target, border=0)))
        elif len(image.shape) == 4:
            spec = ImageToMap(target=target, batch=image.shape[0])
            value = self.call(Kernel.of(spec, image), self.made_up(name, "map"))
        else:
            raise NotOurs(f"{name} of shape {image.shape} is no map")
        self._added.values[name] = value
        return value

    def _in_onnx_order(self, value: Value, name: str) -> str:
        """Return the buffer that holds ``value`` channel by channel."""
        view = value.view
        has_one_order = 1 in (view.channels, view.map.height * view.map.width)
        if has_one_order and view == View.whole(view.map) and not view.map.border:
            return value.buffer
        return self.call(Kernel.of(MapToImage(source=view), value), name).buffer


def _kernel_dtype(name: str, dtype: np.dtype[Any]) -> DType:
    """Return the type of a tensor's numbers, if it is one that kernels take."""
    found = next((one for one in KERNEL_DTYPES if one == dtype.name), None)
    if found is None:
        raise NotOurs(f"{name} does not hold {' or '.join(KERNEL_DTYPES)} numbers")
    return found
