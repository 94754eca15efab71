"""Kernels that go over a map once: copies into another order or place, and arithmetic on numbers.

All of them write the border of their result, too: memory is reused between kernels.
"""

from collections.abc import Callable

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from cmpc_cost_models.kernels.activations import activate
from cmpc_cost_models.kernels.parts import (
    Expr,
    Loops,
    constant_parameter,
    element,
    leaky,
    load_channels,
    load_vector,
    parameter,
    pixel_start,
    store_vector,
    zero_border,
)
from cmpc_cost_models.plans.maps import Map, View
from cmpc_cost_models.plans.specs import (
    Affine,
    Binary,
    Concat,
    ImageToMap,
    MapToImage,
    Pad,
    Resize,
    Shuffle,
)

MOST_PLANES = 4  # of an image that is read plane by plane

__all__ = [
    "write_affine",
    "write_binary",
    "write_concat",
    "write_image_to_map",
    "write_map_to_image",
    "write_pad",
    "write_resize",
    "write_shuffle",
]


def write_image_to_map(spec: ImageToMap, loops: Loops) -> None:
    target = spec.target
    shape = (spec.batch, target.channels, target.height, target.width)
    image = T.arg("image", T.Buffer(shape, target.dtype))
    result = parameter("result", target)
    zero_border(result, target)
    if target.channels > MOST_PLANES:
        with loops.pixels(target) as (y, x), T.serial(target.channels) as channel:
            value = image[spec.index, channel, y, x]
            T.buffer_store(result, value, [pixel_start(target, y, x) + channel])
        return
    # A vector of pixels from each plane, dealt out in turn: eight times faster than one by one.
    lanes = loops.lanes(target.width)
    planes = range(target.channels)
    order = [plane * lanes + lane for lane in range(lanes) for plane in planes]
    strips = Map(height=target.height, width=-(-target.width // lanes), channels=1)
    with loops.pixels(strips) as (y, strip):
        x = tirx.min(strip * lanes, target.width - lanes)
        columns = x if lanes == 1 else tirx.Ramp(x, 1, lanes)
        vectors = [tirx.BufferLoad(image, [spec.index, one, y, columns]) for one in planes]
        value = vectors[0] if len(order) == 1 else tirx.Shuffle(vectors, order)
        store_vector(result, pixel_start(target, y, x), value, len(order))


def write_map_to_image(spec: MapToImage, loops: Loops) -> None:
    source = spec.source
    height, width = source.map.height, source.map.width
    data, result = parameter("data", source.map), parameter("result", spec.target)
    with loops.pixels(source.map) as (y, x), T.serial(source.channels) as channel:
        value = data[element(source, (y, x), channel)]
        T.buffer_store(result, value, [(channel * height + y) * width + x])


def write_affine(spec: Affine, loops: Loops) -> None:
    target, source = spec.target, spec.source
    data = parameter("data", source.map)
    names = ("scale", "shift", "slope") if spec.has_slopes else ("scale", "shift")
    factors = [constant_parameter(name, target.channels) for name in names]
    residual = spec.residual and parameter("residual", spec.residual.map)
    result = parameter("result", target)
    zero_border(result, target)
    with loops.pixels(target) as (y, x), loops.chunks(target.channels) as (channel, lanes):
        scale, shift, *slopes = (load_vector(one, channel, lanes) for one in factors)
        value = load_channels(data, source, (y, x), channel, lanes) * scale + shift
        if spec.residual:
            value = value + load_channels(residual, spec.residual, (y, x), channel, lanes)
        for slope in slopes:
            value = leaky(T.Bind(value), lanes, slope)
        value = activate(value, lanes, spec.activation)
        store_vector(result, pixel_start(target, y, x) + channel, value, lanes)


_OPERATORS: dict[str, Callable[[Expr, Expr], Expr]] = {
    "add": lambda left, right: left + right,
    "div": lambda left, right: left / right,
    "max": lambda left, right: tirx.Select(tirx.isnan(left), left, tirx.max(left, right)),
    "min": lambda left, right: tirx.Select(tirx.isnan(left), left, tirx.min(left, right)),
    "mul": lambda left, right: left * right,
    "pow": tirx.pow,
    "sub": lambda left, right: left - right,
}


def write_binary(spec: Binary, loops: Loops) -> None:
    target = spec.target
    left = parameter("left", spec.left.map)
    right = parameter("right", spec.right.map)
    result = parameter("result", target)
    zero_border(result, target)
    with loops.pixels(target) as pixel, loops.chunks(target.channels) as (channel, lanes):
        operands = [
            _load_repeated(data, view, pixel, channel, lanes)
            for data, view in ((left, spec.left), (right, spec.right))
        ]
        value = activate(_OPERATORS[spec.operator](*operands), lanes, spec.activation)
        store_vector(result, pixel_start(target, *pixel) + channel, value, lanes)


def _load_repeated(
    data: Expr, view: View, pixel: tuple[Expr, Expr], channel: Expr, lanes: int
) -> Expr:
    """Load channels of an operand that may have one row, column or channel for all."""
    y, x = pixel
    read = (0 if view.map.height == 1 else y, 0 if view.map.width == 1 else x)
    if view.channels > 1 or lanes == 1:
        return load_channels(data, view, read, 0 if view.channels == 1 else channel, lanes)
    return tirx.Broadcast(data[element(view, read, 0)], lanes)


def write_concat(spec: Concat, loops: Loops) -> None:
    views = enumerate(spec.sources)
    parts = [parameter(f"part_{index}", source.map) for index, source in views]
    result = parameter("result", spec.target)
    zero_border(result, spec.target)
    with loops.pixels(spec.target) as pixel:
        offset = 0
        for part, source in zip(parts, spec.sources, strict=True):
            start = pixel_start(spec.target, *pixel) + offset
            loops.copy_pixel(part, source, result, pixel=pixel, start=start)
            offset += source.channels


def write_shuffle(spec: Shuffle, loops: Loops) -> None:
    source, target = spec.source, spec.target
    data, result = parameter("data", source.map), parameter("result", target)
    zero_border(result, target)
    each = target.channels // spec.groups
    with (
        loops.pixels(target) as pixel,
        T.serial(each) as member,
        T.serial(spec.groups) as group,
    ):
        value = data[element(source, pixel, group * each + member)]
        start = pixel_start(target, *pixel)
        T.buffer_store(result, value, [start + member * spec.groups + group])


def write_pad(spec: Pad, loops: Loops) -> None:
    source, target, (top, left) = spec.source, spec.target, spec.offset
    data, result = parameter("data", source.map), parameter("result", target)
    # Filled whole, then written over: padding is rare, and edges as loops of their own are long.
    fill = tirx.const(spec.fill, target.dtype)
    with loops.pixels(target) as (y, x), T.serial(target.channels) as channel:
        T.buffer_store(result, fill, [pixel_start(target, y, x) + channel])
    zero_border(result, target)
    with loops.pixels(source.map) as (y, x), loops.chunks(source.channels) as (channel, lanes):
        value = load_channels(data, source, (y, x), channel, lanes)
        store_vector(result, pixel_start(target, y + top, x + left) + channel, value, lanes)


def write_resize(spec: Resize, loops: Loops) -> None:
    source, target = spec.source, spec.target
    data, result = parameter("data", source.map), parameter("result", target)
    zero_border(result, target)
    rows, columns = spec.factors
    # Over the source's pixels: each is loaded once and stored rows x columns times.
    with loops.pixels(source.map) as (y, x), loops.chunks(source.channels) as (channel, lanes):
        value = load_channels(data, source, (y, x), channel, lanes)
        for row in range(rows):
            for column in range(columns):
                start = pixel_start(target, y * rows + row, x * columns + column)
                store_vector(result, start + channel, value, lanes)
