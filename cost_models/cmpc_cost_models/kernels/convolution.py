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
    Partial,
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
from cmpc_cost_models.plans.maps import Map, View
from cmpc_cost_models.plans.specs import Convolution, Window
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
    tile = loops.schedule.tile
    buffers = _Buffers.of(spec, tile)
    zero_border(buffers.result, spec.target)
    if spec.kept:
        _copy_kept(spec.kept, spec.target, buffers, loops)
    with tiles(spec, loops.schedule) as (corner, partial):
        sums = T.alloc_buffer((tile.num_accumulators,), vector_dtype(tile.lanes), scope="local")
        _TileWriter(
            spec=spec, schedule=loops.schedule, buffers=buffers, corner=corner, sums=sums
        ).write(partial)


def _copy_kept(kept: View, target: Map, buffers: _Buffers, loops: Loops) -> None:
    with pixels(target) as pixel:
        start = pixel_start(target, *pixel)
        loops.copy_pixel(buffers.kept, kept, buffers.result, pixel=pixel, start=start)


@dataclass(frozen=True, kw_only=True, slots=True)
class _TileWriter:
    """Writes what is done for one tile.

    Attributes:
        sums: The registers, a vector for each of the tile's pixels and vectors of channels.
    """

    spec: Convolution
    schedule: Schedule
    buffers: _Buffers
    corner: Corner
    sums: Expr

    @property
    def _lanes(self) -> int:
        return self.schedule.lanes

    def write(self, partial: Partial | None) -> None:
        if partial is None:
            self._start()
            self._accumulate(0)
            self._finish()
            return
        with T.If(partial.part == 0):
            with T.Then():
                self._start()
            with T.Else():
                self._resume(partial)
        self._accumulate(partial.part)
        with T.If(partial.part == self.schedule.depth_parts - 1):
            with T.Then():
                self._finish()
            with T.Else():
                self._suspend(partial)

    def _start(self) -> None:
        for index, _, _, lane in positions(self.schedule.tile, self.corner):
            bias = load_vector(self.buffers.bias, self.corner.channel + lane, self._lanes)
            T.buffer_store(self.sums, bias, [index])

    def _suspend(self, partial: Partial) -> None:
        for index in range(self.schedule.tile.num_accumulators):
            place = partial.start + index * self._lanes
            store_vector(partial.memory, place, self.sums[index], self._lanes)

    def _resume(self, partial: Partial) -> None:
        for index in range(self.schedule.tile.num_accumulators):
            value = load_vector(partial.memory, partial.start + index * self._lanes, self._lanes)
            T.buffer_store(self.sums, value, [index])

    def _finish(self) -> None:
        """Write what the sums become."""
        spec, lanes = self.spec, self._lanes
        offset = spec.kept.channels if spec.kept else 0
        for index, row, column, lane in positions(self.schedule.tile, self.corner):
            value, channel = self.sums[index], self.corner.channel + lane
            if spec.residual:
                data, pixel = self.buffers.residual, (row, column)
                value = value + load_channels(data, spec.residual, pixel, channel, lanes)
            value = activate(value, lanes, spec.activation)
            start = pixel_start(spec.target, row, column) + offset
            store_vector(self.buffers.result, start + channel, value, lanes)

    def _accumulate(self, part: Expr) -> None:
        """Add all taps of the window, for one part of the input channels, to the sums."""
        spec, schedule = self.spec, self.schedule
        depth, (height, width) = spec.depth // schedule.depth_parts, spec.window.kernel
        first_tap = (self.corner.block * schedule.depth_parts + part) * height * width
        with steps(spec, schedule) as turn:
            for dy, dx, inner in turn:
                step = (first_tap + dy * width + dx) * depth + inner
                self._add_products(step, (dy, dx), self.corner.first_input + part * depth + inner)

    def _add_products(self, step: Expr, tap: tuple[Expr, Expr], input_channel: Expr) -> None:
        """Add the products of one tap and input channel, whose weights are those of ``step``."""
        spec, tile = self.spec, self.schedule.tile
        for index, row, column, lane in positions(tile, self.corner):
            pixel = _pixel_under(spec.window, (row, column), tap)
            channel = self.corner.channel + lane if spec.is_depthwise else input_channel
            value = _load_data(spec, self.buffers.data, pixel, channel, tile.lanes)
            factor = load_vector(self.buffers.weight, step * tile.channels + lane, tile.lanes)
            T.buffer_store(self.sums, self.sums[index] + value * factor, [index])


def _load_data(
    spec: Convolution, data: Expr, pixel: tuple[Expr, Expr], channel: Expr, lanes: int
) -> Expr:
    """Load a channel for each lane if there is one for each, or one channel for all."""
    if spec.is_depthwise:
        return load_channels(data, spec.source, pixel, channel, lanes)
    number = data[element(spec.source, pixel, channel)]
    return number if lanes == 1 else tirx.Broadcast(number, lanes)


def _pixel_under(
    window: Window, pixel: tuple[Expr, Expr], tap: tuple[Expr, Expr]
) -> tuple[Expr, Expr]:
    """Return the pixel of the source that a tap of the window of ``pixel`` sees."""
    row, column = (
        one * stride + at * dilation - pad
        for one, at, stride, dilation, pad in zip(
            pixel, tap, window.strides, window.dilations, window.pads, strict=True
        )
    )
    return row, column
