"""How what only moves numbers becomes a view, another reading of a buffer, or a copy."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import onnx

from cmpc_cost_models.plans.calls import Grouped, Image, NotOurs, Value, Waiting
from cmpc_cost_models.plans.import_limits import has_whole_scales
from cmpc_cost_models.plans.planner import Planner
from cmpc_cost_models.plans.specs import (
    Concat,
    Convolution,
    Map,
    Pad,
    Resize,
    Shuffle,
    View,
)

__all__ = ["concat", "pad", "reshape", "resize", "same", "slice_channels", "split", "transpose"]

Attributes = dict[str, Any]

SWAP_GROUPS = [0, 2, 1, 3, 4]
TO_CHANNELS_LAST, TO_CHANNELS_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
# Where the sizes divide, all of these repeat each pixel equally often.
EVEN_RESIZES = {
    (b"asymmetric", b"floor"),
    (b"half_pixel", b"round_prefer_ceil"),
    (b"half_pixel", b"round_prefer_floor"),
    (b"pytorch_half_pixel", b"round_prefer_ceil"),
    (b"pytorch_half_pixel", b"round_prefer_floor"),
}


def concat(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    result = node.output[0]
    target, rank = planner.map(result), len(planner.shape(result))
    if attributes["axis"] not in (1, 1 - rank):
        raise NotOurs("only channels are concatenated")
    waiting = planner.waiting(node.input[-1])
    if len(node.input) == 2 and waiting and isinstance(waiting.spec, Convolution):
        _concat_in_convolution(planner, node, waiting, waiting.spec)
        return
    sources = [planner.operand(one, rank) for one in node.input]
    spec = Concat(sources=tuple(one.view for one in sources), target=target)
    planner.call(spec, tuple(one.buffer for one in sources), result)


def _concat_in_convolution(
    planner: Planner, node: onnx.NodeProto, waiting: Waiting, spec: Convolution
) -> None:
    """Let the convolution write its result beside what it is concatenated to."""
    kept = planner.operand(node.input[0], len(planner.shape(node.output[0])))
    channels = kept.view.channels + spec.target.channels
    planner.values[node.output[0]] = replace(
        waiting,
        spec=replace(spec, kept=kept.view, target=replace(spec.target, channels=channels)),
        inputs=(*waiting.inputs, kept.buffer),
    )
    planner.value(node.output[0])  # it takes in nothing more: what follows concerns both parts


def slice_channels(planner: Planner, node: onnx.NodeProto, _: Attributes) -> None:
    start, stop, step = _only_slice(planner, node)
    source = planner.value(node.input[0])
    taken = range(source.view.channels)[start:stop:step]
    planner.values[node.output[0]] = _part(source, taken)


def _only_slice(planner: Planner, node: onnx.NodeProto) -> tuple[int, int, int]:
    """Return start, stop and step of a slice of channels."""
    names = [*node.input[1:], "", ""][:4]
    starts, stops, axes, steps = (planner.constant(name).tolist() if name else [] for name in names)
    rank = len(planner.shape(node.input[0]))
    step = steps[0] if steps else 1
    if [axis % rank for axis in axes] != [1] or step < 1:
        raise NotOurs("only channels are sliced, forwards")
    return starts[0], stops[0], step


def split(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    rank = len(planner.shape(node.input[0]))
    if attributes.get("axis", 0) not in (1, 1 - rank):
        raise NotOurs("only channels are split")
    source, start = planner.value(node.input[0]), 0
    for name in node.output:
        stop = start + planner.map(name).channels
        planner.values[name] = _part(source, range(start, stop))
        start = stop


def _part(source: Value, taken: range) -> Value:
    """Return the channels ``taken`` of ``source``, as a view."""
    view = source.view
    part = replace(
        view,
        start=view.start + taken.start * view.step,
        step=view.step * taken.step,
        channels=len(taken),
    )
    return Value(buffer=source.buffer, view=part)


def same(planner: Planner, node: onnx.NodeProto, _: Attributes) -> None:
    planner.values[node.output[0]] = planner.value(node.input[0])


def reshape(planner: Planner, node: onnx.NodeProto, _: Attributes) -> None:
    """Plan Reshape, Flatten, Squeeze and Unsqueeze."""
    data, result = node.input[0], node.output[0]
    given, wanted = planner.shape(data), planner.shape(result)
    if _groups_channels(planner, data, result):
        return
    is_pixel = {given[2:], wanted[2:]} <= {(), (1, 1)} and given[:2] == wanted[:2]
    if is_pixel and data not in planner.grouped:
        planner.values[result] = planner.value(data)
        return
    image = planner.image(data)
    if image.shape != given:
        raise NotOurs("the images of a batch can't be mixed")
    planner.images[result] = replace(image, shape=wanted)


def _groups_channels(planner: Planner, data: str, result: str) -> bool:
    """Plan the first or last step of a channel shuffle (ShuffleNet), if this is one."""
    given, wanted = planner.shape(data), planner.shape(result)
    is_split = (len(given), len(wanted)) == (4, 5) and given[2:] == wanted[3:]
    if is_split and wanted[0] == 1 and wanted[1] * wanted[2] == given[1]:
        planner.grouped[result] = Grouped(source=data, groups=wanted[1])
        planner.deferred[result] = partial(_reshape_image, planner, data, result)
        return True
    found = planner.grouped.get(data)
    if found is None or not found.is_dealt or wanted != planner.shape(found.source):
        return False
    source, target = planner.value(found.source), planner.map(result)
    spec = Shuffle(source=source.view, target=target, groups=found.groups)
    planner.call(spec, (source.buffer,), result)
    return True


def _reshape_image(planner: Planner, data: str, result: str) -> None:
    planner.images[result] = replace(planner.image(data), shape=planner.shape(result))


def transpose(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    data, result = node.input[0], node.output[0]
    order = attributes.get("perm")
    if order == SWAP_GROUPS and data in planner.grouped:
        given = planner.grouped[data]
        planner.grouped[result] = replace(given, is_dealt=not given.is_dealt)
        planner.deferred[result] = partial(planner.leave_to_importer, node)
    elif order == TO_CHANNELS_LAST:
        _read_map_as_image(planner, data, result)
    elif order == TO_CHANNELS_FIRST:
        _read_image_as_map(planner, data, result)
    else:
        raise NotOurs("our orders have the channels first or last")


def _read_map_as_image(planner: Planner, data: str, result: str) -> None:
    """Plan [1, C, H, W] -> [1, H, W, C]: a map that is stored alone has that order already."""
    value = planner.value(data)
    alone = Map(
        height=value.view.map.height, width=value.view.map.width, channels=value.view.channels
    )
    if value.view != View.whole(alone):
        copied = Pad(source=value.view, target=alone, offset=(0, 0))
        value = planner.call(copied, (value.buffer,), planner.made_up(result, "map"))
    planner.images[result] = Image(buffer=value.buffer, shape=planner.shape(result))


def _read_image_as_map(planner: Planner, data: str, result: str) -> None:
    """Plan [1, H, W, C] -> [1, C, H, W]: an image of that order is a map."""
    image = planner.image(data)
    if image.shape[0] != 1 or image.element_type != onnx.TensorProto.FLOAT:
        raise NotOurs("only one image of float32 is read as a map")
    whole = View.whole(replace(planner.map(result), border=0))
    planner.values[result] = Value(buffer=image.buffer, view=whole)


def pad(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    inputs, result = [*node.input, "", "", ""], node.output[0]
    pads = attributes.get("pads") or planner.constant(inputs[1]).tolist()
    fill = planner.constant(inputs[2]).reshape(-1)[0] if inputs[2] else attributes.get("value", 0)
    if attributes.get("mode", b"constant") != b"constant":
        raise NotOurs("only constants are padded with")
    if inputs[3]:
        pads = _pads_of_all_axes(pads, planner.constant(inputs[3]).tolist())
    if len(pads) != 8 or min(pads) < 0 or any(pads[one] for one in (0, 1, 4, 5)):
        raise NotOurs("only rows and columns are padded")
    source = planner.value(node.input[0])
    spec = Pad(
        source=source.view,
        target=planner.map(result),
        offset=(pads[2], pads[3]),
        fill=float(fill),
    )
    planner.call(spec, (source.buffer,), result)


def _pads_of_all_axes(pads: list[int], axes: list[int]) -> list[int]:
    """Return the pads [before all four axes, after them] from those of some ``axes``."""
    whole = [0] * 8
    for index, axis in enumerate(axes):
        whole[axis % 4], whole[4 + axis % 4] = pads[index], pads[len(axes) + index]
    return whole


def resize(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    """Plan Resize where it repeats each pixel equally often."""
    how = (
        attributes.get("coordinate_transformation_mode", b"half_pixel"),
        attributes.get("nearest_mode", b"round_prefer_floor"),
    )
    is_nearest = attributes.get("mode", b"nearest") == b"nearest"
    if not is_nearest or how not in EVEN_RESIZES or not has_whole_scales(planner, node):
        raise NotOurs("only pixels that are repeated are ours")
    source, target = planner.value(node.input[0]), planner.map(node.output[0])
    size = np.array([source.view.map.height, source.view.map.width])
    factors, rests = np.divmod([target.height, target.width], size)
    if rests.any() or target.channels != source.view.channels:
        raise NotOurs("sizes must divide")
    spec = Resize(source=source.view, target=target, factors=(int(factors[0]), int(factors[1])))
    planner.call(spec, (source.buffer,), node.output[0])
