"""The phrases that kernels are written in: parameters, loops over pixels, vector loads, stores."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from cmpc_cost_models.plans.maps import DType, Map, View
from cmpc_cost_models.schedules.schedule import Schedule
from cmpc_cost_models.schedules.tiling import vector_lanes

__all__ = [
    "COMPUTED",
    "Expr",
    "Loops",
    "at_least",
    "at_most",
    "clamp",
    "constant",
    "constant_parameter",
    "element",
    "leaky",
    "load_channels",
    "load_vector",
    "parameter",
    "pixel_start",
    "pixels",
    "store_vector",
    "vector_dtype",
    "zero_border",
]

COMPUTED: DType = "float32"
"""The type in which kernels compute, and that of their constants."""
Expr = Any
"""One of TVM's expressions or buffers: its operators make more of them, which no checker sees."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Loops:
    """The loops of one kernel, as its schedule wants them."""

    schedule: Schedule
    vector_numbers: int

    def lanes(self, channels: int) -> int:
        return vector_lanes(channels, self.vector_numbers)

    @contextmanager
    def pixels(self, whole: Map) -> Iterator[tuple[Expr, Expr]]:
        """Loop over pixels, rows split among threads if so scheduled."""
        rows = T.parallel if self.schedule.is_parallel else T.serial
        with rows(whole.height) as y, T.serial(whole.width) as x:
            yield y, x

    @contextmanager
    def chunks(self, channels: int) -> Iterator[tuple[Expr, int]]:
        """Loop over vectors of channels; the last one moves back until it fits."""
        lanes = self.lanes(channels)
        with T.serial(-(-channels // lanes)) as chunk:
            yield tirx.min(chunk * lanes, channels - lanes), lanes

    def copy_pixel(
        self,
        data: Expr,
        source: View,
        result: Expr,
        *,
        pixel: tuple[Expr, Expr],
        start: Expr,
    ) -> None:
        """Copy one pixel of a view to ``result`` from ``start``."""
        with self.chunks(source.channels) as (channel, lanes):
            value = load_channels(data, source, pixel, channel, lanes)
            store_vector(result, start + channel, value, lanes)


@contextmanager
def pixels(pixels: Map) -> Iterator[tuple[Expr, Expr]]:
    with T.serial(pixels.height) as y, T.serial(pixels.width) as x:
        yield y, x


def zero_border(result: Expr, target: Map) -> None:
    """Write zeros around the map; memory is reused, so they are written at every run."""
    if not target.border:
        return
    zero = tirx.const(0.0, target.dtype)
    edge = target.border * target.row
    side = target.border * target.channels
    for start in (0, target.size - edge):
        with T.serial(edge) as index:
            T.buffer_store(result, zero, [start + index])
    for start in (0, target.row - side):
        with T.serial(target.height) as y, T.serial(side) as index:
            T.buffer_store(result, zero, [edge + y * target.row + start + index])


def parameter(name: str, whole: Map) -> Expr:
    """Declare a map that the kernel is given."""
    return T.arg(name, T.Buffer((whole.size,), whole.dtype))


def constant_parameter(name: str, size: int) -> Expr:
    """Declare the weights, factors or the like that the kernel is given."""
    return T.arg(name, T.Buffer((size,), COMPUTED))


def pixel_start(target: Map, y: Expr, x: Expr) -> Expr:
    """Return where the channels of pixel ``y, x`` start."""
    return (y + target.border) * target.row + (x + target.border) * target.channels


def element(source: View, pixel: tuple[Expr, Expr], channel: Expr) -> Expr:
    return pixel_start(source.map, *pixel) + source.start + channel * source.step


def load_channels(
    data: Expr, source: View, pixel: tuple[Expr, Expr], channel: Expr, lanes: int
) -> Expr:
    """Load ``lanes`` channels of a view."""
    index = element(source, pixel, channel)
    if lanes == 1:
        return data[index]
    if source.step == 2 and (first := _first_of_pairs(source)) is not None:
        # LLVM would load the lanes of a strided vector one by one: four to six times slower.
        pairs = load_vector(data, index - (source.start - first), 2 * lanes)
        return tirx.Shuffle([pairs], list(range(source.start - first, 2 * lanes, 2)))
    return tirx.BufferLoad(data, [tirx.Ramp(index, source.step, lanes)])


def _first_of_pairs(source: View) -> int | None:
    """Return where pairs of channels start that hold one of the view each, inside the map."""
    for first in (source.start, source.start - 1):
        if first >= 0 and first + 2 * source.channels <= source.map.channels:
            return first
    return None


def load_vector(data: Expr, index: Expr, lanes: int) -> Expr:
    return data[index] if lanes == 1 else tirx.BufferLoad(data, [tirx.Ramp(index, 1, lanes)])


def store_vector(result: Expr, index: Expr, value: Expr, lanes: int) -> None:
    T.buffer_store(result, value, [index if lanes == 1 else tirx.Ramp(index, 1, lanes)])


def at_least(value: Expr, low: float, lanes: int) -> Expr:
    """Return the larger of ``value`` and ``low``; NaN for NaN.

    ``max(a, b)`` is ``a if a > b else b``, one instruction: what isn't a number must come second.
    """
    return tirx.max(constant(low, lanes), value)


def at_most(value: Expr, high: float, lanes: int) -> Expr:
    """Return the smaller of ``value`` and ``high``; NaN for NaN."""
    return tirx.min(constant(high, lanes), value)


def leaky(value: Expr, lanes: int, slope: Expr) -> Expr:
    """Return ``value``, below zero times ``slope``."""
    return at_least(value, 0.0, lanes) + at_most(value, 0.0, lanes) * slope


def constant(value: float, lanes: int) -> Expr:
    constant = tirx.const(value, COMPUTED)
    return constant if lanes == 1 else tirx.Broadcast(constant, lanes)


def clamp(index: Expr, size: int) -> Expr:
    return tirx.max(tirx.min(index, size - 1), 0)


def vector_dtype(lanes: int) -> str:
    return COMPUTED if lanes == 1 else f"{COMPUTED}x{lanes}"
