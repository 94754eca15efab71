"""Pooling kernels: the largest or the mean of windows, or of the whole map."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from cmpc_cost_models.kernels.parts import (
    COMPUTED,
    Expr,
    Loops,
    clamp,
    constant,
    load_channels,
    parameter,
    pixel_start,
    pixels,
    store_vector,
    vector_dtype,
    zero_border,
)
from cmpc_cost_models.plans.specs import GlobalMean, MaxPool, MeanPool, Window

__all__ = ["write_global_mean", "write_max_pool", "write_mean_pool"]

MOST_TAPS_WRITTEN_OUT = 25
LOWEST = -math.inf


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reduction:
    """How the numbers of a window become one; ``first`` is where it starts."""

    combine: Callable[[Expr, Expr], Expr]
    first: float


_LARGEST = _Reduction(combine=tirx.max, first=LOWEST)
_SUM = _Reduction(combine=lambda one, other: one + other, first=0.0)


def write_max_pool(spec: MaxPool, loops: Loops) -> None:
    source, target, window = spec.source, spec.target, spec.window
    data, result = parameter("data", source.map), parameter("result", target)
    zero_border(result, target)
    with loops.pixels(target) as pixel, loops.chunks(target.channels) as (channel, lanes):

        def load(row: Expr, column: Expr) -> Expr:
            # What is clamped to the edge lies in the window anyway: it can't win unduly.
            inside = clamp(row, source.map.height), clamp(column, source.map.width)
            return load_channels(data, source, inside, channel, lanes)

        largest = _reduce(window, pixel, load, _LARGEST, lanes)
        store_vector(result, pixel_start(target, *pixel) + channel, largest, lanes)


def write_mean_pool(spec: MeanPool, loops: Loops) -> None:
    source, target, window = spec.source, spec.target, spec.window
    data, result = parameter("data", source.map), parameter("result", target)
    zero_border(result, target)
    with loops.pixels(target) as pixel, loops.chunks(target.channels) as (channel, lanes):

        def load(row: Expr, column: Expr) -> Expr:
            return load_channels(data, source, (row, column), channel, lanes)

        total = _reduce(window, pixel, load, _SUM, lanes)
        share = tirx.const(1.0, COMPUTED) / _num_counted(spec, pixel).astype(COMPUTED)
        mean = total * (share if lanes == 1 else tirx.Broadcast(share, lanes))
        store_vector(result, pixel_start(target, *pixel) + channel, mean, lanes)


def write_global_mean(spec: GlobalMean, loops: Loops) -> None:
    source, target = spec.source, spec.target
    data, result = parameter("data", source.map), parameter("result", target)
    zero_border(result, target)
    factor = 1.0 if spec.is_max else 1.0 / (source.map.height * source.map.width)
    with loops.chunks(target.channels) as (channel, lanes):
        total = T.alloc_buffer((1,), vector_dtype(lanes), scope="local")
        T.buffer_store(total, constant(LOWEST if spec.is_max else 0.0, lanes), [0])
        with pixels(source.map) as pixel:
            value = load_channels(data, source, pixel, channel, lanes)
            value = _larger(total[0], value) if spec.is_max else total[0] + value
            T.buffer_store(total, value, [0])
        start = pixel_start(target, 0, 0) + channel
        store_vector(result, start, total[0] * constant(factor, lanes), lanes)


def _larger(largest: Expr, value: Expr) -> Expr:
    """Return the larger of two; NaN if either is NaN, so that it reaches the result."""
    return tirx.Select(tirx.isnan(largest), largest, tirx.max(largest, value))


def _reduce(
    window: Window,
    pixel: tuple[Expr, Expr],
    load: Callable[[Expr, Expr], Expr],
    reduction: _Reduction,
    lanes: int,
) -> Expr:
    """Combine what ``load`` gives for all taps of the window of ``pixel``."""
    (height, width), (dy, dx) = window.kernel, window.dilations
    top, left = (
        one * stride - pad
        for one, stride, pad in zip(pixel, window.strides, window.pads, strict=True)
    )
    if height * width <= MOST_TAPS_WRITTEN_OUT:
        result = constant(reduction.first, lanes)
        for row in range(height):
            for column in range(width):
                result = reduction.combine(result, load(top + row * dy, left + column * dx))
        return result
    state = T.alloc_buffer((1,), vector_dtype(lanes), scope="local")
    T.buffer_store(state, constant(reduction.first, lanes), [0])
    with T.serial(height) as row, T.serial(width) as column:
        value = load(top + row * dy, left + column * dx)
        T.buffer_store(state, reduction.combine(state[0], value), [0])
    return state[0]


def _num_counted(spec: MeanPool, pixel: tuple[Expr, Expr]) -> Expr:
    """Return how many taps of the window of ``pixel`` count."""
    count: Expr = tirx.const(1, "int32")
    window = spec.window
    for axis, (low, high) in enumerate(spec.counted):
        start = pixel[axis] * window.strides[axis] - window.pads[axis]
        stop = tirx.min(start + window.kernel[axis], high)
        count = count * (stop - tirx.max(start, low))
    return count
