"""Functions of single numbers, on whole vectors: what follows a convolution at no cost of memory.

The exponential and the hyperbolic tangent are polynomials of our own: LLVM would call the C library
once for each lane. Their relative error is below 3e-7 within float32's normal range.
"""

import math
from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from cmpc_cost_models.lowering.kernel_parts import constant, vector_dtype
from cmpc_cost_models.lowering.kernel_specs import Activation, ActivationKind

__all__ = ["activate", "exponential"]

Expr = Any  # TVM's expressions have no useful static type

LARGEST_EXPONENT, SMALLEST_EXPONENT = 88.37626, -87.33654  # beyond: no normal float32
# exp(r) = 1 + r + r^2 * polynomial(r) for |r| <= ln(2) / 2 (Cephes, expf.c)
EXP_POLYNOMIAL = (
    1.9875691500e-4,
    1.3981999507e-3,
    8.3334519073e-3,
    4.1665795894e-2,
    1.6666665459e-1,
    5.0000001201e-1,
)
LN2_HIGH, LN2_LOW = (
    0.693359375,
    -2.12194440e-4,
)  # the first has few bits: products with it are exact
MANTISSA_BITS, EXPONENT_BIAS = 23, 127
# tanh(x) = x * numerator(x^2) / denominator(x^2) for |x| <= 9 (Eigen, generic_fast_tanh_float)
TANH_NUMERATOR = (
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
)
TANH_DENOMINATOR = (
    1.19825839466702e-06,
    1.18534705686654e-04,
    2.26843463243900e-03,
    4.89352518554385e-03,
)
TANH_SATURATES_AT = 7.90531110763549805
# erf(x) = 1 - t * polynomial(t) * exp(-x^2) (Abramowitz and Stegun, 7.1.26; error below 1.5e-7)
ERF_POLYNOMIAL = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
ERF_STEP = 0.3275911


def activate(value: Expr, lanes: int, activation: Activation | None) -> Expr:
    """Return ``activation`` of a vector of ``lanes``; must be called where statements may stand."""
    if activation is None:
        return value
    return _ACTIVATIONS[activation.kind](T.Bind(value), lanes, activation)


def exponential(value: Expr, lanes: int) -> Expr:
    """Return e to each of ``lanes`` numbers; what float32 can't hold gives its largest, or 0."""
    highest, lowest = (constant(one, lanes) for one in (LARGEST_EXPONENT, SMALLEST_EXPONENT))
    x = T.Bind(tirx.max(tirx.min(value, highest), lowest))
    power = T.Bind(tirx.floor(x * constant(1 / math.log(2), lanes) + constant(0.5, lanes)))
    rest = T.Bind(x - power * constant(LN2_HIGH, lanes) - power * constant(LN2_LOW, lanes))
    series = _polynomial(rest, lanes, EXP_POLYNOMIAL) * rest * rest + rest + constant(1.0, lanes)
    integers = "int32" if lanes == 1 else f"int32x{lanes}"
    bits = (power.astype(integers) + _integer(EXPONENT_BIAS, lanes)) << _integer(
        MANTISSA_BITS, lanes
    )
    return series * tirx.reinterpret(vector_dtype(lanes), bits)


def _polynomial(x: Expr, lanes: int, coefficients: tuple[float, ...]) -> Expr:
    """Evaluate a polynomial, its highest coefficient first, by Horner's rule."""
    result = constant(coefficients[0], lanes)
    for coefficient in coefficients[1:]:
        result = result * x + constant(coefficient, lanes)
    return result


def _integer(value: int, lanes: int) -> Expr:
    number = tirx.const(value, "int32")
    return number if lanes == 1 else tirx.Broadcast(number, lanes)


def _clip(x: Expr, lanes: int, low: float, high: float) -> Expr:
    if low > -math.inf:
        x = tirx.max(x, constant(low, lanes))
    return tirx.min(x, constant(high, lanes)) if high < math.inf else x


def _leaky(x: Expr, lanes: int, activation: Activation) -> Expr:
    zero = constant(0.0, lanes)
    return tirx.max(x, zero) + tirx.min(x, zero) * constant(activation.alpha, lanes)


def _elu(x: Expr, lanes: int, activation: Activation) -> Expr:
    zero, one = constant(0.0, lanes), constant(1.0, lanes)
    below = exponential(tirx.min(x, zero), lanes) - one
    return tirx.max(x, zero) + below * constant(activation.alpha, lanes)


def _sigmoid(x: Expr, lanes: int, _: Activation) -> Expr:
    one = constant(1.0, lanes)
    return one / (one + exponential(constant(0.0, lanes) - x, lanes))


def _hard_sigmoid(x: Expr, lanes: int, activation: Activation) -> Expr:
    line = x * constant(activation.alpha, lanes) + constant(activation.beta, lanes)
    return _clip(line, lanes, 0.0, 1.0)


def _hard_swish(x: Expr, lanes: int, _: Activation) -> Expr:
    line = x * constant(1 / 6, lanes) + constant(0.5, lanes)
    return x * _clip(line, lanes, 0.0, 1.0)


def _swish(x: Expr, lanes: int, activation: Activation) -> Expr:
    return x * _sigmoid(x * constant(activation.alpha, lanes), lanes, activation)


def _softplus(x: Expr, lanes: int, _: Activation) -> Expr:
    zero, one = constant(0.0, lanes), constant(1.0, lanes)
    return tirx.max(x, zero) + tirx.log(one + exponential(zero - tirx.abs(x), lanes))


def _tanh(x: Expr, lanes: int, _: Activation) -> Expr:
    x = T.Bind(_clip(x, lanes, -TANH_SATURATES_AT, TANH_SATURATES_AT))
    square = T.Bind(x * x)
    numerator = x * _polynomial(square, lanes, TANH_NUMERATOR)
    return numerator / _polynomial(square, lanes, TANH_DENOMINATOR)


def _erf(x: Expr, lanes: int, _: Activation) -> Expr:
    zero, one = constant(0.0, lanes), constant(1.0, lanes)
    t = T.Bind(one / (one + tirx.abs(x) * constant(ERF_STEP, lanes)))
    rest = _polynomial(t, lanes, ERF_POLYNOMIAL) * t * exponential(zero - x * x, lanes)
    size = T.Bind(one - rest)
    return tirx.Select(x < zero, zero - size, size)


def _gelu(x: Expr, lanes: int, activation: Activation) -> Expr:
    scaled = T.Bind(x * constant(math.sqrt(0.5), lanes))
    half = x * constant(0.5, lanes)
    return half * (constant(1.0, lanes) + _erf(scaled, lanes, activation))


_ACTIVATIONS: dict[ActivationKind, Callable[[Expr, int, Activation], Expr]] = {
    "abs": lambda x, lanes, _: tirx.abs(x),
    "clip": lambda x, lanes, activation: _clip(x, lanes, activation.alpha, activation.beta),
    "elu": _elu,
    "erf": _erf,
    "exp": lambda x, lanes, _: exponential(x, lanes),
    "gelu": _gelu,
    "hard_sigmoid": _hard_sigmoid,
    "hard_swish": _hard_swish,
    "leaky": _leaky,
    "log": lambda x, lanes, _: tirx.log(x),
    "neg": lambda x, lanes, _: constant(0.0, lanes) - x,
    "reciprocal": lambda x, lanes, _: constant(1.0, lanes) / x,
    "relu": lambda x, lanes, _: tirx.max(x, constant(0.0, lanes)),
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "sqrt": lambda x, lanes, _: tirx.sqrt(x),
    "swish": _swish,
    "tanh": _tanh,
}
