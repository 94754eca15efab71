"""Kernels that set a number in relation to its neighbours: norms and the softmax."""

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from cmpc_cost_models.kernels.activations import exponential
from cmpc_cost_models.kernels.parts import (
    COMPUTED,
    Expr,
    Loops,
    at_least,
    constant,
    element,
    load_channels,
    load_vector,
    parameter,
    pixel_start,
    store_vector,
    zero_border,
)
from cmpc_cost_models.plans.specs import LocalNorm, Normalise, Softmax

__all__ = ["write_local_norm", "write_normalise", "write_softmax"]


def write_normalise(spec: Normalise, _: Loops) -> None:
    source, target = spec.source, spec.target
    length, start = target.channels, pixel_start(target, 0, 0)
    data, result = parameter("data", source.map), parameter("result", target)
    zero_border(result, target)
    total = T.alloc_buffer((1,), COMPUTED, scope="local")
    T.buffer_store(total, tirx.const(0.0, COMPUTED), [0])
    with T.serial(length) as index:
        value = data[element(source, (0, 0), index)]
        T.buffer_store(total, total[0] + value * value, [0])
    norm = at_least(tirx.sqrt(total[0]), spec.smallest, 1)
    with T.serial(length) as index:
        value = data[element(source, (0, 0), index)]
        T.buffer_store(result, value / norm, [start + index])


def write_softmax(spec: Softmax, loops: Loops) -> None:
    source, target = spec.source, spec.target
    data, result = parameter("data", source.map), parameter("result", target)
    zero_border(result, target)
    with loops.pixels(target) as pixel:
        state = T.alloc_buffer((2,), COMPUTED, scope="local")  # the largest, then the total
        T.buffer_store(state, data[element(source, pixel, 0)], [0])
        with T.serial(target.channels) as channel:
            T.buffer_store(state, tirx.max(state[0], data[element(source, pixel, channel)]), [0])
        with loops.chunks(target.channels) as (channel, lanes):
            largest = state[0] if lanes == 1 else tirx.Broadcast(state[0], lanes)
            value = load_channels(data, source, pixel, channel, lanes) - largest
            start = pixel_start(target, *pixel) + channel
            store_vector(result, start, exponential(value, lanes), lanes)
        T.buffer_store(state, tirx.const(0.0, COMPUTED), [1])
        with T.serial(target.channels) as channel:
            T.buffer_store(state, state[1] + result[pixel_start(target, *pixel) + channel], [1])
        with T.serial(target.channels) as channel:
            index = pixel_start(target, *pixel) + channel
            T.buffer_store(result, result[index] / state[1], [index])


def write_local_norm(spec: LocalNorm, loops: Loops) -> None:
    source, target, size = spec.source, spec.target, spec.size
    data, result = parameter("data", source.map), parameter("result", target)
    zero_border(result, target)
    before = (size - 1) // 2
    with loops.pixels(target) as pixel:
        # Squares with zeros on either side, so that every channel has all its neighbours.
        squares = T.alloc_buffer((target.channels + size - 1,), COMPUTED, scope="local")
        with T.serial(size - 1) as index:
            place = tirx.Select(index < before, index, target.channels + index)
            T.buffer_store(squares, tirx.const(0.0, COMPUTED), [place])
        with loops.chunks(target.channels) as (channel, lanes):
            value = load_channels(data, source, pixel, channel, lanes)
            store_vector(squares, before + channel, value * value, lanes)
        with loops.chunks(target.channels) as (channel, lanes):
            total = load_vector(squares, channel, lanes)
            for neighbour in range(1, size):
                total = total + load_vector(squares, channel + neighbour, lanes)
            scale = total * constant(spec.alpha / size, lanes) + constant(spec.bias, lanes)
            value = load_channels(data, source, pixel, channel, lanes)
            value = value / _power(scale, lanes, spec.beta)
            store_vector(result, pixel_start(target, *pixel) + channel, value, lanes)


def _power(value: Expr, lanes: int, exponent: float) -> Expr:
    """Return a positive vector to a constant power; of the usual 3/4 without the C library."""
    if exponent == 0.75:
        root = T.Bind(tirx.sqrt(value))
        return root * tirx.sqrt(root)
    return tirx.pow(value, constant(exponent, lanes))
