"""Write a network as an ONNX graph by hand, without tracing it.

The architecture already tells the graph, so no tracer has to find it again: writing takes
milliseconds where torch.onnx.export takes seconds. The graphs come out as the compiler wants them:
batch norms folded, shapes static, constants in their final layout. TVM would otherwise compile
one kernel for each constant that it folds.

Shapes: N images, C channels, H and W pixels, O and I output and input channels, D embedding length.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from cmpc_base.files import replacing
from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.graphs.parts import Shape

__all__ = ["GraphWriter", "fold_batch_norm"]

INPUT_NAME = "image"
OUTPUT_NAME = "embedding"
OPSET = 17  # the last one in which reductions take their axes as attributes
IR_VERSION = 8  # the one that came with the opset: old runtimes read it
SMALLEST_NORM = 1e-12  # as torch.nn.functional.normalize

Float32Array = npt.NDArray[np.float32]


def fold_batch_norm(
    weight: Float32Array,
    scale: tuple[Float32Array, Float32Array],
    statistics: tuple[Float32Array, Float32Array],
    *,
    epsilon: float = 1e-5,
) -> tuple[Float32Array, Float32Array]:
    """Return the weight [O, I, kH, kW] and the bias [O] of a convolution and its batch norm.

    Args:
        weight: The convolution's weight [O, I, kH, kW].
        scale: The batch norm's gamma [O] and beta [O].
        statistics: The batch norm's running mean [O] and variance [O].
        epsilon: What the batch norm adds to the variance.
    """
    gamma, beta = (one.astype(np.float64) for one in scale)
    mean, variance = (one.astype(np.float64) for one in statistics)
    factor = gamma / np.sqrt(variance + epsilon)
    folded = weight.astype(np.float64) * factor[:, None, None, None]
    return folded.astype(np.float32), (beta - mean * factor).astype(np.float32)


class GraphWriter:
    """Collects layers; every method takes and returns names of tensors.

        writer = GraphWriter("tiny", (1, 3, 32, 32))
        features = writer.relu(writer.conv(writer.input, weight, bias, stride=2, padding=1))
        writer.save(path, writer.l2_normalise(writer.global_average_pool(features)))

    The input is float32 NCHW in [0, 1]: a network that wants another range starts with ``affine``.
    """

    def __init__(self, name: str, input_shape: tuple[int, int, int, int]) -> None:
        self.input = INPUT_NAME
        self._name = name
        self._shapes: dict[str, Shape] = {INPUT_NAME: tuple(input_shape)}
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []

    def shape(self, tensor: str) -> Shape:
        """Return the shape of a tensor of this graph.

        Raises:
            BadArgument: the graph has no such tensor.
        """
        if tensor not in self._shapes:
            raise BadArgument(f"graph {self._name!r} has no tensor {tensor!r}")
        return self._shapes[tensor]

    def conv(
        self,
        x: str,
        weight: Float32Array,
        bias: Float32Array | None = None,
        *,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
        groups: int = 1,
    ) -> str:
        """Convolve ``x`` [N, C, H, W] with ``weight`` [O, C / groups, kH, kW].

        ``padding`` is that on all sides, or a pair: above and left, below and right.
        """
        batch, channels, height, width = self._maps(x)
        if weight.ndim != 4 or weight.shape[1] * groups != channels or weight.shape[0] % groups:
            raise BadArgument(
                f"a weight [O, {channels} / groups, kH, kW] must fit {x!r}, "
                f"got {weight.shape} and {groups=}"
            )
        before, after = (padding, padding) if isinstance(padding, int) else padding
        rows = (height + before + after - weight.shape[2]) // stride + 1
        columns = (width + before + after - weight.shape[3]) // stride + 1
        return self._add(
            "Conv",
            [x, *self._constants(weight, bias)],
            (batch, weight.shape[0], rows, columns),
            kernel_shape=list(weight.shape[2:]),
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=groups,
        )

    def relu(self, x: str) -> str:
        return self._add("Relu", [x], self.shape(x))

    def clip(self, x: str, low: float, high: float) -> str:
        """Return ``min(max(x, low), high)``: a ReLU6 has 0 and 6."""
        if not low <= high:
            raise BadArgument(f"`low <= high` must hold, got {low=} and {high=}")
        bounds = [self._constant(np.array(one, np.float32)) for one in (low, high)]
        return self._add("Clip", [x, *bounds], self.shape(x))

    def add(self, x: str, y: str) -> str:
        if self.shape(x) != self.shape(y):
            raise BadArgument(
                f"two tensors must have one shape, got {self.shape(x)} and {self.shape(y)}"
            )
        return self._add("Add", [x, y], self.shape(x))

    def affine(self, x: str, scale: Float32Array, shift: Float32Array) -> str:
        """Return ``x * scale + shift`` with one scale [C] and shift [C] a channel."""
        channels = self._maps(x)[1]
        if scale.shape != (channels,) or shift.shape != (channels,):
            raise BadArgument(
                f"scale and shift must have {channels} values, got {scale.shape} and {shift.shape}"
            )
        factors = self._constant(scale.reshape(1, channels, 1, 1))
        offsets = self._constant(shift.reshape(1, channels, 1, 1))
        scaled = self._add("Mul", [x, factors], self.shape(x))
        return self._add("Add", [scaled, offsets], self.shape(x))

    def concat(self, xs: Sequence[str]) -> str:
        """Put the channels of ``xs`` one after another."""
        shapes = [self.shape(x) for x in xs]
        if len({(batch, *size) for batch, _, *size in shapes}) != 1:
            raise BadArgument(f"tensors may only differ in their channels, got shapes {shapes}")
        batch, _, *size = shapes[0]
        channels = sum(shape[1] for shape in shapes)
        return self._add("Concat", list(xs), (batch, channels, *size), axis=1)

    def split_channels(self, x: str, sizes: Sequence[int]) -> tuple[str, ...]:
        """Cut ``x`` into parts of ``sizes`` consecutive channels."""
        if sum(sizes) != self.shape(x)[1]:
            raise BadArgument(
                f"`sum(sizes) == {self.shape(x)[1]}` must hold for {x!r}, got {list(sizes)}"
            )
        starts = np.cumsum([0, *sizes[:-1]])
        return tuple(
            self.slice_channels(x, start=int(start), stop=int(start) + size)
            for start, size in zip(starts, sizes, strict=True)
        )

    def slice_channels(
        self, x: str, *, start: int = 0, stop: int | None = None, step: int = 1
    ) -> str:
        """Return ``x[:, start:stop:step]``; steps of 2 are ShuffleNetV2's shuffle and split."""
        batch, channels, *rest = self.shape(x)
        taken = range(channels)[start:stop:step]
        if not taken or step < 1:
            raise BadArgument(
                f"a slice must take channels of {channels}, got {start}:{stop}:{step}"
            )
        bounds = [np.array([one], np.int64) for one in (taken.start, taken.stop, 1, step)]
        return self._add("Slice", [x, *map(self._constant, bounds)], (batch, len(taken), *rest))

    def channel_shuffle(self, x: str, groups: int) -> str:
        """Deal the channels of ``groups`` consecutive groups out in turn (ShuffleNet)."""
        batch, channels, height, width = self._maps(x)
        if channels % groups:
            raise BadArgument(f"{channels} channels must divide into {groups} groups")
        grouped = (batch, groups, channels // groups, height, width)
        dealt = (batch, channels // groups, groups, height, width)
        x = self._add("Reshape", [x, self._constant(np.array(grouped, np.int64))], grouped)
        x = self._add("Transpose", [x], dealt, perm=[0, 2, 1, 3, 4])
        whole = (batch, channels, height, width)
        return self._add("Reshape", [x, self._constant(np.array(whole, np.int64))], whole)

    def max_pool(self, x: str, *, kernel: int, stride: int, padding: int = 0) -> str:
        batch, channels, height, width = self._maps(x)
        rows, columns = ((size + 2 * padding - kernel) // stride + 1 for size in (height, width))
        return self._add(
            "MaxPool",
            [x],
            (batch, channels, rows, columns),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[padding] * 4,
        )

    def global_average_pool(self, x: str) -> str:
        """Average ``x`` [N, C, H, W] over its pixels to [N, C]."""
        batch, channels, _, _ = self._maps(x)
        return self._add("ReduceMean", [x], (batch, channels), axes=[2, 3], keepdims=0)

    def dense(self, x: str, weight: Float32Array, bias: Float32Array | None = None) -> str:
        """Return ``x @ weight.T + bias`` for ``x`` [N, I] and ``weight`` [O, I]."""
        batch, length = self.shape(x)
        if weight.ndim != 2 or weight.shape[1] != length:
            raise BadArgument(f"a weight [O, {length}] must fit {x!r}, got {weight.shape}")
        shape = (batch, weight.shape[0])
        y = self._add("MatMul", [x, self._constant(np.ascontiguousarray(weight.T))], shape)
        return y if bias is None else self._add("Add", [y, self._constant(bias)], shape)

    def l2_normalise(self, x: str) -> str:
        """Divide each row of ``x`` [N, D] by its length."""
        batch, _ = self.shape(x)
        norm = self._add("ReduceL2", [x], (batch, 1), axes=[1], keepdims=1)
        smallest = self._constant(np.array([SMALLEST_NORM], np.float32))
        norm = self._add("Max", [norm, smallest], (batch, 1))
        return self._add("Div", [x, norm], self.shape(x))

    def save(self, path: Path, output: str) -> None:
        """Check the graph with ``output`` as its result and write it to ``path``, whole or not."""
        shape = self.shape(output)
        graph = helper.make_graph(
            [*self._nodes, helper.make_node("Identity", [output], [OUTPUT_NAME])],
            self._name,
            [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, self.shape(INPUT_NAME))],
            [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, shape)],
            self._initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        with replacing(path) as file:
            file.write(model.SerializeToString())

    def _maps(self, x: str) -> tuple[int, int, int, int]:
        shape = self.shape(x)
        if len(shape) != 4:
            raise BadArgument(f"{x!r} must be feature maps [N, C, H, W], got shape {shape}")
        return shape

    def _constants(self, *arrays: npt.NDArray[np.generic] | None) -> list[str]:
        return [self._constant(array) for array in arrays if array is not None]

    def _constant(self, array: npt.NDArray[np.generic]) -> str:
        if array.dtype not in (np.float32, np.int64):
            raise BadArgument(f"weights must be float32, got {array.dtype}")
        name = f"constant_{len(self._initializers)}"
        self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _add(self, operator: str, inputs: list[str], shape: Shape, **attributes: Any) -> str:
        """Append one node. The keyword arguments are its ONNX attributes, by their ONNX names."""
        if min(shape) < 1:
            raise BadArgument(f"{operator} must give at least one value, got shape {shape}")
        name = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        self._shapes[name] = shape
        return name
