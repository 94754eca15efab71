"""Make a user's network one that reads RGB in [0, 1] and gives one embedding: inside its graph.

Exporters agree on little: mean and std, values up to 1 or 255, colours and axes in either order,
float16, several outputs, maps or tokens instead of embeddings. What is asked for becomes operators
of the network itself. So everyone who runs it later (embedding, views, timing) feeds it alike, and
the hash of the file tells two ways of feeding one network apart.

    [0, 1] --mean, std, scale, BGR, NHWC, float16--> the user's graph --pool, float32--> [N, D]

Shapes: N images, S pixels a side, D embedding length, T tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from cmpc_search.errors import BadGallery
from cmpc_search.gallery.record import OnnxReading

__all__ = ["adapt"]

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)
AXES_AS_INPUT = 18  # the operator set from which ReduceMean is given its axes so
Step = tuple[str, dict[str, Any], tuple[TensorProto, ...]]
"""Operator, attributes, and what it reads beside the result of the step before it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Image:
    """What a network reads."""

    value: onnx.ValueInfoProto
    size_px: int
    is_channels_last: bool

    @property
    def kind(self) -> int:
        return int(self.value.type.tensor_type.elem_type)


def adapt(model: onnx.ModelProto, reading: OnnxReading, name: str) -> bool:
    """Change ``model`` to read float32 [N, 3, S, S] in [0, 1] and to give [N, D].

    It may lack its external data. Returns whether anything had to change.

    Raises:
        BadGallery: it has other inputs than square images, or nobody said which output to take.
    """
    image = _image_of(model, reading, name)
    output = _output_of(model, reading, name)
    before, after = list(_before(image, reading)), list(_after(model, output, image, reading))
    is_changed = bool(before or after) or len(model.graph.output) > 1 or _is_open(image)
    if is_changed:
        batch = onnx.TensorShapeProto.Dimension()
        batch.CopyFrom(image.value.type.tensor_type.shape.dim[0])
        _put_before(model, image, batch, before)
        _put_after(model, output, batch, after)
    return is_changed


def _image_of(model: onnx.ModelProto, reading: OnnxReading, name: str) -> _Image:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise BadGallery(
            f"{name} must have one input, got {[value.name for value in inputs]}; "
            "export the part that embeds images"
        )
    kind = inputs[0].type.tensor_type.elem_type
    if kind not in FLOATS:
        raise BadGallery(
            f"{name} must read images as float32 or float16, got {_kind_name(kind)}; export it so"
        )
    shape = _shape(inputs[0])
    is_last = len(shape) == 4 and shape[3] == 3 and shape[1] != 3
    sides = shape[1:3] if is_last else shape[2:4]
    size_px = _size_px(sides, reading.input_size_px)
    has_three = is_last or (len(shape) == 4 and shape[1] in (3, None))
    if not has_three or size_px is None:
        wanted = "" if reading.input_size_px is None else f" of {reading.input_size_px} px"
        raise BadGallery(
            f"{name} must read square RGB images [N, 3, S, S] or [N, S, S, 3]{wanted}, "
            f"got {_shown(inputs[0])}; say with --input-size-px what it leaves open"
        )
    return _Image(value=inputs[0], size_px=size_px, is_channels_last=is_last)


def _size_px(sides: Sequence[int | None], asked: int | None) -> int | None:
    """Return the one size that is said, by the network or the user; None if there is none."""
    said = {side for side in (*sides, asked) if side is not None}
    return said.pop() if len(said) == 1 else None


def _output_of(model: onnx.ModelProto, reading: OnnxReading, name: str) -> onnx.ValueInfoProto:
    outputs: dict[str, onnx.ValueInfoProto] = {value.name: value for value in model.graph.output}
    shown = ", ".join(f"{value.name} {_shown(value)}" for value in outputs.values())
    if reading.output is not None:
        if reading.output not in outputs:
            raise BadGallery(f"{name} must have the output {reading.output!r}, it has {shown}")
        return outputs[reading.output]
    if len(outputs) != 1:
        raise BadGallery(
            f"{name} must give one embedding, got {len(outputs)} outputs ({shown}); "
            "say with --output which one it is"
        )
    return next(iter(outputs.values()))


def _before(image: _Image, reading: OnnxReading) -> Iterator[Step]:
    """Yield the steps from an image in [0, 1] to what the network reads."""
    std, mean = np.array(reading.std), np.array(reading.mean)
    factor = reading.scale / std
    if not (factor == 1).all() or mean.any():
        yield "Mul", {}, (_constant(factor.reshape(1, 3, 1, 1)),)
        yield "Add", {}, (_constant((-mean * factor).reshape(1, 3, 1, 1)),)
    if reading.colour_order == "BGR":
        reverse = numpy_helper.from_array(np.array([2, 1, 0]))
        yield "Gather", {"axis": 1}, (reverse,)
    if image.is_channels_last:
        yield "Transpose", {"perm": [0, 2, 3, 1]}, ()
    if image.kind != TensorProto.FLOAT:
        yield "Cast", {"to": image.kind}, ()


def _after(
    model: onnx.ModelProto, output: onnx.ValueInfoProto, image: _Image, reading: OnnxReading
) -> Iterator[Step]:
    """Yield the steps from an output to embeddings float32 [N, D]."""
    shape = _shape(output)
    if output.type.tensor_type.elem_type == TensorProto.FLOAT16:
        yield "Cast", {"to": TensorProto.FLOAT}, ()
    if reading.pool == "mean":
        axes = [1] if len(shape) == 3 else [1, 2] if image.is_channels_last else [2, 3]
        yield _mean(model, axes)
    elif reading.pool == "first":
        yield "Gather", {"axis": 1}, (numpy_helper.from_array(np.array(0)),)
    elif len(shape) == 4 and shape[2:] == [1, 1]:
        yield "Flatten", {"axis": 1}, ()


def _mean(model: onnx.ModelProto, axes: list[int]) -> Step:
    opset = next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
    if opset < AXES_AS_INPUT:
        return "ReduceMean", {"axes": axes, "keepdims": 0}, ()
    return "ReduceMean", {"keepdims": 0}, (numpy_helper.from_array(np.array(axes)),)


def _put_before(
    model: onnx.ModelProto,
    image: _Image,
    batch: onnx.TensorShapeProto.Dimension,
    steps: Sequence[Step],
) -> None:
    """Let the network read float32 [N, 3, S, S], whatever it read."""
    own_name = _free_name(model, "cmpc_image")
    nodes = _chain(model, steps, own_name, image.value.name)
    others = [node for node in model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *others])
    name = own_name if nodes else image.value.name
    shape: list[str | int | None] = ["N", 3, image.size_px, image.size_px]
    read = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    read.type.tensor_type.shape.dim[0].CopyFrom(batch)
    image.value.CopyFrom(read)
    del model.graph.value_info[:]  # an open size may have had another name there


def _put_after(
    model: onnx.ModelProto,
    output: onnx.ValueInfoProto,
    batch: onnx.TensorShapeProto.Dimension,
    steps: Sequence[Step],
) -> None:
    """Let the network give one output alone."""
    kept = onnx.ValueInfoProto()
    kept.CopyFrom(output)
    if steps:
        name = _free_name(model, "cmpc_embedding")
        model.graph.node.extend(_chain(model, steps, output.name, name))
        kept = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", None])
        kept.type.tensor_type.shape.dim[0].CopyFrom(batch)
    del model.graph.output[:]
    model.graph.output.append(kept)


def _chain(
    model: onnx.ModelProto, steps: Sequence[Step], first: str, last: str
) -> list[onnx.NodeProto]:
    """Return nodes that take ``first`` through the steps to ``last``; keep their constants."""
    nodes, name, between = [], first, _free_name(model, "cmpc_step")
    for number, (operator, attributes, constants) in enumerate(steps):
        for constant in constants:
            constant.name = f"{between}_{number}_reads"
        model.graph.initializer.extend(constants)
        result = last if number == len(steps) - 1 else f"{between}_{number}"
        given = [name, *(constant.name for constant in constants)]
        nodes.append(helper.make_node(operator, given, [result], **attributes))
        name = result
    return nodes


def _free_name(model: onnx.ModelProto, wanted: str) -> str:
    """Return a name with which none of the network's own begins: it may be one made here before."""
    graph = model.graph
    taken = {one.name for one in (*graph.input, *graph.initializer)}
    taken |= {name for node in graph.node for name in node.output}
    while any(name.startswith(wanted) for name in taken):
        wanted += "_"
    return wanted


def _constant(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> TensorProto:
    return numpy_helper.from_array(values.astype(np.float32))


def _is_open(image: _Image) -> bool:
    return None in _shape(image.value)[1:]


def _shape(value: onnx.ValueInfoProto) -> list[int | None]:
    """Return the sizes of a tensor, None those that are left open."""
    dims = value.type.tensor_type.shape.dim
    return [size.dim_value if size.dim_value > 0 else None for size in dims]


def _shown(value: onnx.ValueInfoProto) -> str:
    dims = value.type.tensor_type.shape.dim
    return f"[{', '.join(str(size.dim_value or size.dim_param or '?') for size in dims)}]"


def _kind_name(kind: int) -> str:
    return str(helper.tensor_dtype_to_np_dtype(kind)) if kind else "an unknown type"
