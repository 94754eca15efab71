"""How what only moves numbers becomes a view, another reading of a buffer, or a copy."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import onnx

from cmpc_cost_models.graphs.parts import Attributes
from cmpc_cost_models.plans.draft import Draft
from cmpc_cost_models.plans.import_limits import has_whole_scales
from cmpc_cost_models.plans.maps import Map, View
from cmpc_cost_models.plans.plan import FusableKernel, Image, Kernel, NotOurs, Value
from cmpc_cost_models.plans.specs import Concat, Convolution, Pad, Resize, Shuffle

__all__ = [
    "concat",
    "pad",
    "reshape",
    "resize",
    "same",
    "shuffle",
    "slice_channels",
    "split",
    "transpose",
]

TO_CHANNELS_LAST, TO_CHANNELS_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
# Where the sizes divide, all of these repeat each pixel equally often.
EVEN_RESIZES = {
    (b"asymmetric", b"floor"),
    (b"half_pixel", b"round_prefer_ceil"),
    (b"half_pixel", b"round_prefer_floor"),
    (b"pytorch_half_pixel", b"round_prefer_ceil"),
    (b"pytorch_half_pixel", b"round_prefer_floor"),
}


def concat(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> Kernel:
    result = node.output[0]
    target, rank = draft.map(result), len(draft.shape(result))
    if attributes["axis"] not in (1, 1 - rank):
        raise NotOurs("only channels are concatenated")
    last = draft.fusable(node.input[-1])
    if len(node.input) == 2 and last and isinstance(last.spec, Convolution):
        return _concat_in_convolution(draft.operand(node.input[0], rank), last, last.spec, target)
    sources = [draft.operand(one, rank) for one in node.input]
    spec = Concat(sources=tuple(one.view for one in sources), target=target)
    return Kernel.of(spec, *sources)


def _concat_in_convolution(
    kept: Value, kernel: FusableKernel, spec: Convolution, target: Map
) -> Kernel:
    """Let the convolution write its result beside what it is concatenated to.

    It takes in nothing more: what follows concerns both parts.
    """
    return Kernel(
        spec=replace(spec, kept=kept.view, target=target),
        inputs=(*kernel.inputs, kept.buffer),
        constants=kernel.constants,
        root=kernel.root,
    )


def slice_channels(draft: Draft, node: onnx.NodeProto, _: Attributes) -> Value:
    start, stop, step = _only_slice(draft, node)
    source = draft.value(node.input[0])
    return _part(source, range(source.view.channels)[start:stop:step])


def _only_slice(draft: Draft, node: onnx.NodeProto) -> tuple[int, int, int]:
    """Return start, stop and step of a slice of channels."""
    names = [*node.input[1:], "", ""][:4]
    starts, stops, axes, steps = (draft.constant(name).tolist() if name else [] for name in names)
    rank = len(draft.shape(node.input[0]))
    step = steps[0] if steps else 1
    if [axis % rank for axis in axes] != [1] or step < 1:
        raise NotOurs("only channels are sliced, forwards")
    return starts[0], stops[0], step


def split(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> tuple[Value, ...]:
    rank = len(draft.shape(node.input[0]))
    if attributes.get("axis", 0) not in (1, 1 - rank):
        raise NotOurs("only channels are split")
    source, stops = draft.value(node.input[0]), [0]
    for name in node.output:
        stops.append(stops[-1] + draft.map(name).channels)
    return tuple(_part(source, range(start, stop)) for start, stop in pairwise(stops))


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


def same(draft: Draft, node: onnx.NodeProto, _: Attributes) -> Value:
    return draft.value(node.input[0])


def reshape(draft: Draft, node: onnx.NodeProto, _: Attributes) -> Value | Image:
    """Plan Reshape, Flatten, Squeeze and Unsqueeze."""
    data = node.input[0]
    given, wanted = draft.shape(data), draft.shape(node.output[0])
    if {given[2:], wanted[2:]} <= {(), (1, 1)} and given[:2] == wanted[:2]:
        return draft.value(data)
    image = draft.image(data)
    if image.shape != given:
        raise NotOurs("the images of a batch can't be mixed")
    return replace(image, shape=wanted)


def shuffle(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> Kernel:
    """Plan ChannelShuffle, see ``graphs.patterns.channel_shuffle``."""
    source, target = draft.value(node.input[0]), draft.map(node.output[0])
    spec = Shuffle(source=source.view, target=target, groups=attributes["groups"])
    return Kernel.of(spec, source)


def transpose(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> Value | Image:
    order = attributes.get("perm")
    if order == TO_CHANNELS_LAST:
        return _read_map_as_image(draft, node.input[0], node.output[0])
    if order == TO_CHANNELS_FIRST:
        return _read_image_as_map(draft, node.input[0], node.output[0])
    raise NotOurs("our orders have the channels first or last")


def _read_map_as_image(draft: Draft, data: str, result: str) -> Image:
    """Plan [1, C, H, W] -> [1, H, W, C]: a map that is stored alone has that order already."""
    value = draft.value(data)
    alone = value.view.alone
    if value.view != View.whole(alone):
        copied = Pad(source=value.view, target=alone, offset=(0, 0))
        value = draft.call(Kernel.of(copied, value), draft.made_up(result, "map"))
    return Image(buffer=value.buffer, shape=draft.shape(result))


def _read_image_as_map(draft: Draft, data: str, result: str) -> Value:
    """Plan [1, H, W, C] -> [1, C, H, W]: an image of that order is a map."""
    image = draft.image(data)
    if image.shape[0] != 1:
        raise NotOurs("only one image is read as a map")
    target = replace(draft.map(result), border=0, dtype=draft.dtype(data, image))
    return Value(buffer=image.buffer, view=View.whole(target))


def pad(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> Kernel:
    inputs, result = [*node.input, "", "", ""], node.output[0]
    pads = attributes.get("pads") or draft.constant(inputs[1]).tolist()
    fill = draft.constant(inputs[2]).reshape(-1)[0] if inputs[2] else attributes.get("value", 0)
    if attributes.get("mode", b"constant") != b"constant":
        raise NotOurs("only constants are padded with")
    if inputs[3]:
        pads = _pads_of_all_axes(pads, draft.constant(inputs[3]).tolist())
    if len(pads) != 8 or min(pads) < 0 or any(pads[one] for one in (0, 1, 4, 5)):
        raise NotOurs("only rows and columns are padded")
    source = draft.value(node.input[0])
    spec = Pad(
        source=source.view,
        target=draft.map(result),
        offset=(pads[2], pads[3]),
        fill=float(fill),
    )
    return Kernel.of(spec, source)


def _pads_of_all_axes(pads: list[int], axes: list[int]) -> list[int]:
    """Return the pads [before all four axes, after them] from those of some ``axes``."""
    whole = [0] * 8
    for index, axis in enumerate(axes):
        whole[axis % 4], whole[4 + axis % 4] = pads[index], pads[len(axes) + index]
    return whole


def resize(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> Kernel:
    """Plan Resize where it repeats each pixel equally often."""
    how = (
        attributes.get("coordinate_transformation_mode", b"half_pixel"),
        attributes.get("nearest_mode", b"round_prefer_floor"),
    )
    is_nearest = attributes.get("mode", b"nearest") == b"nearest"
    if not is_nearest or how not in EVEN_RESIZES or not has_whole_scales(draft, node):
        raise NotOurs("only pixels that are repeated are ours")
    source, target = draft.value(node.input[0]), draft.map(node.output[0])
    size = np.array([source.view.map.height, source.view.map.width])
    factors, rests = np.divmod([target.height, target.width], size)
    if rests.any() or target.channels != source.view.channels:
        raise NotOurs("sizes must divide")
    spec = Resize(source=source.view, target=target, factors=(int(factors[0]), int(factors[1])))
    return Kernel.of(spec, source)
