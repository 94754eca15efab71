"""Convolutions and dense layers: the sums of a tile stay in registers while the reduction runs.

    for each block of channels, row of tiles, tile:      (``convolution_loops``)
        sums[pixel, vector] = bias
        for each tap of the window, input channel:
            sums[pixel, vector] += data[pixel, tap, input] * weight[block, tap, input, vector]
        result[pixel, vector] = activation(sums + residual)

The weights are constants, so they are laid out here, at compile time, as the loops read them: block
by block, each one run of memory. As stored in ONNX, every step of the reduction would read its
vectors from another page. All tiles of a block read the same weights: where those are too many for
the cache, the input channels are done in parts, each for all tiles of the block, and the tiles'
sums wait in memory in between.

Shapes: B blocks of channels, P parts of the input channels, T taps of the window, I input channels
of one output, L channels of a tile, O output channels.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.script.ir_builder import tirx as T

from cmpc_cost_models.kernels.activations import activate
from cmpc_cost_models.kernels.convolution_loops import (
    Corner,
    num_blocks,
    positions,
    steps,
    tiles,
)
from cmpc_cost_models.kernels.parts import (
    Expr,
    Loops,
    constant_parameter,
    element,
    load_channels,
    load_vector,
    parameter,
    pixel_start,
    pixels,
    store_vector,
    vector_dtype,
    zero_border,
)
from cmpc_cost_models.plans.specs import Convolution
from cmpc_cost_models.schedules.schedule import Schedule
from cmpc_cost_models.schedules.tiling import Tile

__all__ = ["pack_weight", "write_convolution"]


def pack_weight(
    spec: Convolution, schedule: Schedule, weight: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the weight [T, I, O] as the kernel reads it, [B, P, T, I / P, L], both flat.

    The last block of a group moves back until it fits, as the last tile does.
    """
    size, parts = schedule.tile.channels, schedule.depth_parts
    table = weight.reshape(-1, parts, spec.depth // parts, spec.out_channels).swapaxes(0, 1)
    starts = [
        first + min(one, spec.group_channels - size)
        for first in range(0, spec.out_channels, spec.group_channels)
        for one in range(0, spec.group_channels, size)
    ]
    blocks = [table[..., start : start + size] for start in starts]
    return np.ascontiguousarray(np.stack(blocks), np.float32).ravel()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Buffers:
    """What a convolution reads and writes; the order is that of its parameters."""

    data: Expr
    weight: Expr
    bias: Expr
    residual: Expr
    kept: Expr
    result: Expr

    @classmethod
    def of(cls, spec: Convolution, tile: Tile) -> Self:
        num_steps = spec.window.num_taps * spec.depth
        return cls(
            data=parameter("data", spec.source.map),
            weight=constant_parameter("weight", num_blocks(spec, tile) * num_steps * tile.channels),
            bias=constant_parameter("bias", spec.out_channels),
            residual=spec.residual and parameter("residual", spec.residual.map),
            kept=spec.kept and parameter("kept", spec.kept.map),
            result=parameter("result", spec.target),
        )


def write_convolution(spec: Convolution, loops: Loops) -> None:
    schedule = loops.schedule
    tile = schedule.tile
    buffers = _Buffers.of(spec, tile)
    zero_border(buffers.result, spec.target)
    if spec.kept:
        with pixels(spec.target) as pixel:
            loops.copy_pixel(
                buffers.kept, spec.kept, buffers.result, spec.target, pixel=pixel, offset=0
            )
    with tiles(spec, schedule) as corner:
        sums = T.alloc_buffer((tile.num_accumulators,), vector_dtype(tile.lanes), scope="local")
        if schedule.depth_parts == 1:
            _start(buffers, sums, tile, corner)
            _accumulate(spec, buffers, sums, schedule, corner)
            _finish(spec, buffers, sums, tile, corner)
            return
        with T.If(corner.part == 0):
            with T.Then():
                _start(buffers, sums, tile, corner)
            with T.Else():
                _resume(sums, tile, corner)
        _accumulate(spec, buffers, sums, schedule, corner)
        with T.If(corner.part == schedule.depth_parts - 1):
            with T.Then():
                _finish(spec, buffers, sums, tile, corner)
            with T.Else():
                _suspend(sums, tile, corner)


def _start(buffers: _Buffers, sums: Expr, tile: Tile, corner: Corner) -> None:
    for index, _, _, lane in positions(tile, corner):
        bias = load_vector(buffers.bias, corner.channel + lane, tile.lanes)
        T.buffer_store(sums, bias, [index])


def _suspend(sums: Expr, tile: Tile, corner: Corner) -> None:
    for index in range(tile.num_accumulators):
        store_vector(corner.waiting, corner.place + index * tile.lanes, sums[index], tile.lanes)


def _resume(sums: Expr, tile: Tile, corner: Corner) -> None:
    for index in range(tile.num_accumulators):
        value = load_vector(corner.waiting, corner.place + index * tile.lanes, tile.lanes)
        T.buffer_store(sums, value, [index])


def _finish(spec: Convolution, buffers: _Buffers, sums: Expr, tile: Tile, corner: Corner) -> None:
    """Write what the sums of a tile become."""
    offset = spec.kept.channels if spec.kept else 0
    for index, row, column, lane in positions(tile, corner):
        value, channel, pixel = sums[index], corner.channel + lane, (row, column)
        if spec.residual:
            data = buffers.residual
            value = value + load_channels(data, spec.residual, pixel, channel, tile.lanes)
        value = activate(value, tile.lanes, spec.activation)
        start = pixel_start(spec.target, row, column) + offset
        store_vector(buffers.result, start + channel, value, tile.lanes)


def _accumulate(
    spec: Convolution, buffers: _Buffers, sums: Expr, schedule: Schedule, corner: Corner
) -> None:
    """Add all taps of the window, for one part of the input channels, to the tile's sums."""
    tile, (height, width) = schedule.tile, spec.window.kernel
    depth = spec.depth // schedule.depth_parts
    first_tap = (corner.block * schedule.depth_parts + corner.part) * height * width
    with steps(spec, schedule) as turn:
        for dy, dx, inner in turn:
            step = (first_tap + dy * width + dx) * depth + inner
            first_input = corner.first_input + corner.part * depth + inner
            for index, row, column, lane in positions(tile, corner):
                pixel = _pixel_under(spec, (row, column), (dy, dx))
                channel = corner.channel + lane if spec.is_depthwise else first_input
                value = _load_data(spec, buffers.data, pixel, channel, tile.lanes)
                factor = load_vector(buffers.weight, step * tile.channels + lane, tile.lanes)
                T.buffer_store(sums, sums[index] + value * factor, [index])


def _load_data(
    spec: Convolution, data: Expr, pixel: tuple[Expr, Expr], channel: Expr, lanes: int
) -> Expr:
    """Load a channel for each lane if there is one for each, or one channel for all."""
    if spec.is_depthwise:
        return load_channels(data, spec.source, pixel, channel, lanes)
    number = data[element(spec.source, pixel, channel)]
    return number if lanes == 1 else tirx.Broadcast(number, lanes)


def _pixel_under(
    spec: Convolution, pixel: tuple[Expr, Expr], tap: tuple[Expr, Expr]
) -> tuple[Expr, Expr]:
    """Return the pixel of the source that a tap of the window of ``pixel`` sees."""
    row, column = (
        one * stride + at * dilation - pad
        for one, at, stride, dilation, pad in zip(
            pixel, tap, spec.window.strides, spec.window.dilations, spec.window.pads, strict=True
        )
    )
    return row, column
