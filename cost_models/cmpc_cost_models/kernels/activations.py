"""Functions of single numbers, on whole vectors: what follows a convolution at no cost of memory.

The exponential, the hyperbolic tangent and the error function are polynomials of our own: LLVM
would call the C library once for each lane. Their relative error is below 5e-7 within float32's
normal range. What is no number stays none: see ``parts.at_least``.
"""

import math
from collections.abc import Callable

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from cmpc_cost_models.kernels.parts import (
    Expr,
    at_least,
    at_most,
    constant,
    leaky,
    vector_dtype,
)
from cmpc_cost_models.plans.specs import Activation, ActivationKind

__all__ = ["activate", "exponential"]

# From the first on the result is infinite, up to the second it is 0.
LARGEST_EXPONENT, SMALLEST_EXPONENT = 89.0, -87.33654
# 2 exp(r) for |r| <= ln(2) / 2 (Cephes, expf.c, doubled): the other half is in the power of two, so
# that 2^127 is the largest to be written as bits and what is larger overflows.
TWICE_EXP_POLYNOMIAL = (
    3.9751383000e-4,
    2.7963999014e-3,
    1.66669038146e-2,
    8.3331591788e-2,
    3.3333330918e-1,
    1.00000002402,
    2.0,
    2.0,
)
LN2_HIGH, LN2_LOW = (
    0.693359375,
    -2.12194440e-4,
)  # the first has few bits: products with it are exact
MANTISSA_BITS, EXPONENT_BIAS = 23, 127
BIAS_OF_HALF = EXPONENT_BIAS - 1
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
# erf(x) = x * numerator(x^2) / denominator(x^2) for |x| <= 4 (Eigen, generic_fast_erf_float)
ERF_NUMERATOR = (
    -2.72614225801306e-10,
    2.77068142495902e-08,
    -2.10102402082508e-06,
    -5.69250639462346e-05,
    -7.34990630326855e-04,
    -2.95459980854025e-03,
    -1.60960333262415e-02,
)
ERF_DENOMINATOR = (
    -1.45660718464996e-05,
    -2.13374055278905e-04,
    -1.68282697438203e-03,
    -7.37332916720468e-03,
    -1.42647390514189e-02,
)
ERF_SATURATES_AT = 4.0
# log(1 + e) = 2 artanh(s) = 2 s (1 + s^2 / 3 + s^4 / 5 + ...) with s = e / (2 + e), here <= 1 / 3
LOG_POLYNOMIAL = tuple(2 / odd for odd in range(15, 0, -2))


def activate(value: Expr, lanes: int, activation: Activation | None) -> Expr:
    """Return ``activation`` of a vector of ``lanes``; must be called where statements may stand."""
    if activation is None:
        return value
    return _ACTIVATIONS[activation.kind](T.Bind(value), lanes, activation)


def exponential(value: Expr, lanes: int) -> Expr:
    """Return e to each of ``lanes`` numbers; below 1.7e-38, 0."""
    x = T.Bind(_clip(value, lanes, SMALLEST_EXPONENT, LARGEST_EXPONENT))
    power = T.Bind(tirx.floor(x * constant(1 / math.log(2), lanes) + constant(0.5, lanes)))
    rest = T.Bind(x - power * constant(LN2_HIGH, lanes) - power * constant(LN2_LOW, lanes))
    integers = "int32" if lanes == 1 else f"int32x{lanes}"
    bits = (power.astype(integers) + _integer(BIAS_OF_HALF, lanes)) << _integer(
        MANTISSA_BITS, lanes
    )
    series = _polynomial(rest, lanes, TWICE_EXP_POLYNOMIAL)
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
        x = at_least(x, low, lanes)
    return at_most(x, high, lanes) if high < math.inf else x


def _leaky(x: Expr, lanes: int, activation: Activation) -> Expr:
    return leaky(x, lanes, constant(activation.alpha, lanes))


def _elu(x: Expr, lanes: int, activation: Activation) -> Expr:
    below = exponential(at_most(x, 0.0, lanes), lanes) - constant(1.0, lanes)
    return at_least(x, 0.0, lanes) + below * constant(activation.alpha, lanes)


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
    e = T.Bind(exponential(constant(0.0, lanes) - tirx.abs(x), lanes))
    s = T.Bind(e / (e + constant(2.0, lanes)))
    return at_least(x, 0.0, lanes) + s * _polynomial(T.Bind(s * s), lanes, LOG_POLYNOMIAL)


def _tanh(x: Expr, lanes: int, _: Activation) -> Expr:
    x = T.Bind(_clip(x, lanes, -TANH_SATURATES_AT, TANH_SATURATES_AT))
    square = T.Bind(x * x)
    numerator = x * _polynomial(square, lanes, TANH_NUMERATOR)
    return numerator / _polynomial(square, lanes, TANH_DENOMINATOR)


def _erf(x: Expr, lanes: int, _: Activation) -> Expr:
    x = T.Bind(_clip(x, lanes, -ERF_SATURATES_AT, ERF_SATURATES_AT))
    square = T.Bind(x * x)
    numerator = x * _polynomial(square, lanes, ERF_NUMERATOR)
    return _clip(numerator / _polynomial(square, lanes, ERF_DENOMINATOR), lanes, -1.0, 1.0)


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
    "neg": lambda x, lanes, _: x * constant(-1.0, lanes),
    "reciprocal": lambda x, lanes, _: constant(1.0, lanes) / x,
    "relu": lambda x, lanes, _: at_least(x, 0.0, lanes),
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "sqrt": lambda x, lanes, _: tirx.sqrt(x),
    "swish": _swish,
    "tanh": _tanh,
}
