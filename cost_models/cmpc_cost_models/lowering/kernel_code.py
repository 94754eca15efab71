"""Write the TVM code (TIR) of each kernel: loops, vector loads and stores, sums in registers.

Written out rather than scheduled: the loop nest we want is known, and building it takes a
millisecond where scheduling primitives and their checks take tens. All buffers are flat float32;
the parameters of a kernel are its inputs, its constants and its result, in the order in which
``Kernel.parameters`` lists them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from cmpc_cost_models.lowering.kernel_parts import (
    FLOAT,
    clamp,
    constant,
    element,
    load_channels,
    load_vector,
    parameter,
    pixel_start,
    pixels,
    relu,
    store_vector,
    vector_dtype,
    zero_border,
)
from cmpc_cost_models.lowering.kernel_specs import (
    Affine,
    Concat,
    Convolution,
    GlobalMean,
    ImageToMap,
    KernelSpec,
    Map,
    MaxPool,
    Normalise,
    View,
)
from cmpc_cost_models.lowering.tiling import Tile, choose_tile, vector_lanes

__all__ = ["write_kernel"]

Expr = Any  # TVM's expressions have no useful static type


def write_kernel(spec: KernelSpec, *, vector_bits: int) -> Any:
    """Return the TIR function of ``spec`` for vectors of ``vector_bits``."""
    writer = _KernelWriter(vector_bits)
    with IRBuilder() as builder:
        with T.prim_func(is_private=True):
            T.func_attr({"tirx.noalias": True})
            _WRITERS[type(spec)](writer, spec)
        return builder.get()


class _KernelWriter:
    """Writes one kernel into the builder that is open."""

    def __init__(self, vector_bits: int) -> None:
        self.vector_bits = vector_bits
        self.vector_floats = vector_bits // 32

    def image_to_map(self, spec: ImageToMap) -> None:
        target = spec.target
        image = T.arg("image", T.Buffer((1, target.channels, target.height, target.width), FLOAT))
        result = parameter("result", target.size)
        zero_border(result, target)
        with pixels(target) as (y, x), T.serial(target.channels) as channel:
            value = image[0, channel, y, x]
            T.buffer_store(result, value, [pixel_start(target, y, x) + channel])

    def affine(self, spec: Affine) -> None:
        target, source = spec.target, spec.source
        data = parameter("data", source.map.size)
        scale, shift = (parameter(name, target.channels) for name in ("scale", "shift"))
        residual = spec.residual and parameter("residual", spec.residual.map.size)
        result = parameter("result", target.size)
        zero_border(result, target)
        with pixels(target) as (y, x), self._chunks(target.channels) as (channel, lanes):
            value = load_channels(data, source, (y, x), channel, lanes)
            value = value * load_vector(scale, channel, lanes) + load_vector(shift, channel, lanes)
            if spec.residual:
                value = value + load_channels(residual, spec.residual, (y, x), channel, lanes)
            value = relu(value, lanes, spec.relu)
            store_vector(result, pixel_start(target, y, x) + channel, value, lanes)

    def concat(self, spec: Concat) -> None:
        sizes = [source.map.size for source in spec.sources]
        parts = [parameter(f"part_{index}", size) for index, size in enumerate(sizes)]
        result = parameter("result", spec.target.size)
        zero_border(result, spec.target)
        offset = 0
        for part, source in zip(parts, spec.sources, strict=True):
            self._copy(part, source, result, spec.target, offset)
            offset += source.channels

    def convolution(self, spec: Convolution) -> None:
        target, channels = spec.target, spec.out_channels
        depth = 1 if spec.is_depthwise else spec.source.channels
        data = parameter("data", spec.source.map.size)
        weight = parameter("weight", spec.kernel[0] * spec.kernel[1] * depth * channels)
        bias = parameter("bias", channels)
        residual = spec.residual and parameter("residual", spec.residual.map.size)
        kept = spec.kept and parameter("kept", spec.kept.map.size)
        result = parameter("result", target.size)
        zero_border(result, target)
        if spec.kept:
            self._copy(kept, spec.kept, result, target, 0)
        tile = choose_tile(target.height, target.width, channels, vector_bits=self.vector_bits)
        sums = T.alloc_buffer((tile.num_accumulators,), vector_dtype(tile.lanes), scope="local")
        offset = spec.kept.channels if spec.kept else 0
        with _tiles(target, channels, tile) as (y, x, channel):
            for index, _, _, lane in _positions(tile, y, x, channel):
                T.buffer_store(sums, load_vector(bias, lane, tile.lanes), [index])
            _accumulate(spec, (data, weight, sums), tile, (y, x, channel))
            for index, row, column, lane in _positions(tile, y, x, channel):
                value = sums[index]
                if spec.residual:
                    pixel = (row, column)
                    value = value + load_channels(residual, spec.residual, pixel, lane, tile.lanes)
                value = relu(value, tile.lanes, spec.relu)
                start = pixel_start(target, row, column) + offset
                store_vector(result, start + lane, value, tile.lanes)

    def max_pool(self, spec: MaxPool) -> None:
        source, target = spec.source, spec.target
        data, result = parameter("data", source.map.size), parameter("result", target.size)
        zero_border(result, target)
        taps = [(dy, dx) for dy in range(spec.kernel) for dx in range(spec.kernel)]
        with pixels(target) as (y, x), self._chunks(target.channels) as (channel, lanes):
            largest: Expr = None
            for dy, dx in taps:
                # What is clamped to the edge lies in the window anyway: it can't win unduly.
                row = clamp(y * spec.stride + dy - spec.padding, source.map.height)
                column = clamp(x * spec.stride + dx - spec.padding, source.map.width)
                value = load_channels(data, source, (row, column), channel, lanes)
                largest = value if largest is None else tirx.max(largest, value)
            store_vector(result, pixel_start(target, y, x) + channel, largest, lanes)

    def global_mean(self, spec: GlobalMean) -> None:
        source, target = spec.source, spec.target
        data, result = parameter("data", source.map.size), parameter("result", target.size)
        num_pixels = source.map.height * source.map.width
        lanes = vector_lanes(target.channels, self.vector_floats)
        total = T.alloc_buffer((1,), vector_dtype(lanes), scope="local")
        with self._chunks(target.channels) as (channel, _):
            T.buffer_store(total, constant(0.0, lanes), [0])
            with pixels(source.map) as (y, x):
                value = total[0] + load_channels(data, source, (y, x), channel, lanes)
                T.buffer_store(total, value, [0])
            store_vector(result, channel, total[0] * constant(1.0 / num_pixels, lanes), lanes)

    def normalise(self, spec: Normalise) -> None:
        source, length = spec.source, spec.target.channels
        data, result = parameter("data", source.map.size), parameter("result", length)
        total = T.alloc_buffer((1,), FLOAT, scope="local")
        T.buffer_store(total, tirx.const(0.0, FLOAT), [0])
        with T.serial(length) as index:
            value = data[source.start + index * source.step]
            T.buffer_store(total, total[0] + value * value, [0])
        norm = tirx.max(tirx.sqrt(total[0]), tirx.const(spec.smallest, FLOAT))
        with T.serial(length) as index:
            value = data[source.start + index * source.step]
            T.buffer_store(result, value / norm, [index])

    def _copy(self, data: Expr, source: View, result: Expr, target: Map, offset: int) -> None:
        """Copy a view to the channels of ``target`` from ``offset``."""
        with pixels(target) as (y, x), self._chunks(source.channels) as (channel, lanes):
            value = load_channels(data, source, (y, x), channel, lanes)
            store_vector(result, pixel_start(target, y, x) + offset + channel, value, lanes)

    @contextmanager
    def _chunks(self, channels: int) -> Iterator[tuple[Expr, int]]:
        """Loop over vectors of channels; the last one moves back until it fits."""
        lanes = vector_lanes(channels, self.vector_floats)
        with T.serial(-(-channels // lanes)) as chunk:
            yield tirx.min(chunk * lanes, channels - lanes), lanes


_WRITERS: dict[type, Callable[[_KernelWriter, Any], None]] = {
    Affine: _KernelWriter.affine,
    Concat: _KernelWriter.concat,
    Convolution: _KernelWriter.convolution,
    GlobalMean: _KernelWriter.global_mean,
    ImageToMap: _KernelWriter.image_to_map,
    MaxPool: _KernelWriter.max_pool,
    Normalise: _KernelWriter.normalise,
}


def _accumulate(
    spec: Convolution, buffers: tuple[Expr, Expr, Expr], tile: Tile, corner: tuple[Expr, Expr, Expr]
) -> None:
    """Add all taps of the window to the tile's sums."""
    data, weight, sums = buffers
    source, lanes, channels = spec.source, tile.lanes, spec.out_channels
    height, width = spec.kernel
    depth = 1 if spec.is_depthwise else source.channels
    with T.serial(height) as dy, T.serial(width) as dx, T.serial(depth) as inner:
        for index, row, column, lane in _positions(tile, *corner):
            pixel = (
                row * spec.stride + dy - spec.padding,
                column * spec.stride + dx - spec.padding,
            )
            if spec.is_depthwise:
                value = load_channels(data, source, pixel, lane, lanes)
            else:
                value = tirx.Broadcast(data[element(source, pixel, inner)], lanes)
            tap = (dy * width + dx) * depth + inner
            factor = load_vector(weight, tap * channels + lane, lanes)
            T.buffer_store(sums, sums[index] + value * factor, [index])


@contextmanager
def _tiles(target: Map, channels: int, tile: Tile) -> Iterator[tuple[Expr, Expr, Expr]]:
    """Loop over the tiles of a result; weights change slowest, as they are the most to load."""
    with (
        T.serial(-(-channels // tile.channels)) as block,
        T.serial(-(-target.height // tile.rows)) as row,
        T.serial(-(-target.width // tile.columns)) as column,
    ):
        yield (
            tirx.min(row * tile.rows, target.height - tile.rows),
            tirx.min(column * tile.columns, target.width - tile.columns),
            tirx.min(block * tile.channels, channels - tile.channels),
        )


def _positions(tile: Tile, y: Expr, x: Expr, channel: Expr) -> Iterator[tuple[int, ...]]:
    """Yield accumulator, row, column and first channel of every vector of a tile."""
    index = 0
    for row in range(tile.rows):
        for column in range(tile.columns):
            for vector in range(tile.vectors):
                yield index, y + row, x + column, channel + vector * tile.lanes
                index += 1
