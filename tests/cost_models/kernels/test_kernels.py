"""What single kernels write: run alone, on a result whose memory held something else."""

import math
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import tvm

from cmpc_cost_models.compiling.objects import compile_kernel
from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.kernels.code import write_kernel
from cmpc_cost_models.plans.maps import Map, View
from cmpc_cost_models.plans.specs import (
    Activation,
    ActivationKind,
    Affine,
    Binary,
    Concat,
    Convolution,
    GlobalMean,
    ImageToMap,
    LocalNorm,
    MaxPool,
    MeanPool,
    Normalise,
    Pad,
    Resize,
    Shuffle,
    Softmax,
    Window,
)
from cmpc_cost_models.schedules.rules import rule_schedule
from cmpc_cost_models.schedules.workload import Workload

BORDER = 2
SMALL = Map(height=3, width=4, channels=6, border=1)
WHOLE = View.whole(SMALL)
SAME = Map(height=3, width=4, channels=6)
PIXEL = Map.vector(6)
DOUBLE = Map(height=6, width=8, channels=6)
LONGER = Map(height=3, width=4, channels=12)
WINDOW = Window(kernel=(3, 3), pads=(1, 1))
EVERY_KIND_WITH_A_MAP_AS_RESULT = {
    "affine": Affine(source=WHOLE, target=SAME),
    "binary": Binary(operator="add", left=WHOLE, right=WHOLE, target=SAME),
    "concat": Concat(sources=(WHOLE, WHOLE), target=LONGER),
    "convolution": Convolution(source=WHOLE, target=SAME, window=WINDOW),
    "convolution beside a map": Convolution(source=WHOLE, target=LONGER, kept=WHOLE),
    "depthwise convolution": Convolution(source=WHOLE, target=SAME, window=WINDOW, groups=6),
    "largest of all": GlobalMean(source=WHOLE, target=PIXEL, is_max=True),
    "largest of windows": MaxPool(source=WHOLE, target=SAME, window=WINDOW),
    "local norm": LocalNorm(source=WHOLE, target=SAME, size=3, alpha=1.0, beta=0.75, bias=1.0),
    "map of an image": ImageToMap(target=Map(height=3, width=4, channels=3)),
    "map of an image of many planes": ImageToMap(target=SAME),
    "mean of all": GlobalMean(source=WHOLE, target=PIXEL),
    "mean of windows": MeanPool(source=WHOLE, target=SAME, window=WINDOW, counted=((0, 3), (0, 4))),
    "padded": Pad(source=WHOLE, target=DOUBLE, offset=(1, 2), fill=3.0),
    "repeated": Resize(source=WHOLE, target=DOUBLE, factors=(2, 2)),
    "shuffle": Shuffle(source=WHOLE, target=SAME, groups=2),
    "softmax": Softmax(source=WHOLE, target=SAME),
    "unit length": Normalise(
        source=View.whole(replace(PIXEL, border=1)), target=PIXEL, smallest=1e-12
    ),
}


def run_kernel(spec, host, *, inputs=None):
    """Return what a kernel leaves in a result that was full of NaNs, flat."""
    workload = Workload.of(spec, host)
    function = write_kernel(workload, rule_schedule(workload))
    built = compile_kernel(function, host, "kernel")
    rng = np.random.default_rng(0)
    shapes = [tuple(map(int, one.shape)) for one in function.params]
    given = inputs or [rng.random(shape, dtype=np.float32) for shape in shapes[:-1]]
    result = tvm.runtime.tensor(np.full(shapes[-1], np.nan, np.float32))
    loaded = built.jit()
    loaded["kernel"](*map(tvm.runtime.tensor, given), result)
    return result.numpy()


@pytest.mark.parametrize("part", ["source", "target"])
def test_a_map_of_numbers_that_no_kernel_takes_is_refused(part, host):
    other = replace(SAME, dtype="int8")
    spec = MaxPool(source=WHOLE, target=SAME, window=WINDOW)
    changed = replace(spec, **{part: View.whole(other) if part == "source" else other})
    workload = Workload.of(changed, host)

    with pytest.raises(BadArgument, match="must hold float32, got int8 in MaxPool"):
        write_kernel(workload, rule_schedule(workload))


@pytest.mark.parametrize("kind", EVERY_KIND_WITH_A_MAP_AS_RESULT)
def test_every_kernel_writes_zeros_around_its_result(kind, host):
    spec = EVERY_KIND_WITH_A_MAP_AS_RESULT[kind]
    target = spec.target
    alone = run_kernel(spec, host).reshape(target.height, target.width, target.channels)

    bordered = run_kernel(replace(spec, target=replace(target, border=BORDER)), host)

    around = (BORDER, BORDER)
    np.testing.assert_array_equal(bordered, np.pad(alone, (around, around, (0, 0))).ravel())


def test_a_vector_inside_a_border_is_normalised_as_the_vector_alone(host):
    """The mean over a map is stored with a border if a convolution reads it, too."""
    stored = np.zeros((3, 3, 6), np.float32)
    stored[1, 1] = np.arange(6)

    given = run_kernel(
        EVERY_KIND_WITH_A_MAP_AS_RESULT["unit length"], host, inputs=[stored.ravel()]
    )

    np.testing.assert_allclose(given, stored[1, 1] / np.linalg.norm(stored), rtol=1e-6)


SPECIAL = np.array(
    [
        *[math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-40, -1e-40, 1e-6, -1e-6, 1.0, -1.0],
        *[5.5, -5.5, 20.0, -20.0, 88.0, 88.6, -86.5, 100.0, -100.0, 1000.0, -1000.0],
    ],
    np.float32,
)
FUNCTIONS = {
    "abs": (Activation(kind="abs"), np.abs),
    "clip": (Activation(kind="clip", alpha=-1.0, beta=6.0), lambda x: np.clip(x, -1, 6)),
    "elu": (Activation(kind="elu", alpha=0.5), lambda x: np.where(x < 0, np.expm1(x) / 2, x)),
    "erf": (Activation(kind="erf"), np.vectorize(math.erf)),
    "exp": (Activation(kind="exp"), np.exp),
    "gelu": (
        Activation(kind="gelu"),
        lambda x: x / 2 * (1 + np.vectorize(math.erf)(x * math.sqrt(0.5))),
    ),
    "hard_sigmoid": (
        Activation(kind="hard_sigmoid", alpha=0.2, beta=0.5),
        lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    ),
    "hard_swish": (Activation(kind="hard_swish"), lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "leaky": (Activation(kind="leaky", alpha=0.1), lambda x: np.where(x < 0, x / 10, x)),
    "log": (Activation(kind="log"), np.log),
    "neg": (Activation(kind="neg"), np.negative),
    "reciprocal": (Activation(kind="reciprocal"), lambda x: 1 / x),
    "relu": (Activation(kind="relu"), lambda x: np.maximum(x, 0)),
    "sigmoid": (Activation(kind="sigmoid"), lambda x: 1 / (1 + np.exp(-x))),
    "softplus": (Activation(kind="softplus"), lambda x: np.logaddexp(x, 0)),
    "sqrt": (Activation(kind="sqrt"), np.sqrt),
    "swish": (Activation(kind="swish", alpha=1.0), lambda x: x / (1 + np.exp(-x))),
    "tanh": (Activation(kind="tanh"), np.tanh),
}
# Differences of numbers near one: digits are lost below float32's step there.
ABSOLUTE = {"elu": 1e-7, "gelu": 2e-6}


@pytest.mark.parametrize("lanes", ["vectors", "numbers"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_special_numbers_is_that_of_numpy(name, lanes, host):
    activation, function = FUNCTIONS[name]
    size = len(SPECIAL)
    target = Map.vector(size) if lanes == "vectors" else Map(height=1, width=size, channels=1)
    spec = Affine(source=View.whole(target), target=target, activation=activation)
    channels = target.channels
    constants = [np.ones(channels, np.float32), np.full(channels, -0.0, np.float32)]

    given = run_kernel(spec, host, inputs=[SPECIAL, *constants])

    with np.errstate(all="ignore"):
        expected = function(SPECIAL.astype(np.float64)).astype(np.float32)
    atol = ABSOLUTE.get(name, 1.7e-38)  # about the smallest number with all its digits
    np.testing.assert_allclose(given, expected, rtol=1e-6, atol=atol)
    is_zero = expected == 0
    if name in {"abs", "neg", "reciprocal", "sqrt"}:
        np.testing.assert_array_equal(np.signbit(given[is_zero]), np.signbit(expected[is_zero]))


def test_every_function_is_compared_on_special_numbers():
    assert set(FUNCTIONS) == set(get_args(ActivationKind))


@pytest.mark.parametrize("operator", ["max", "min"])
@pytest.mark.parametrize("swapped", [False, True])
def test_the_larger_and_the_smaller_of_a_nan_is_nan(operator, swapped, host):
    one, other = SPECIAL, np.full_like(SPECIAL, 2.0)
    inputs = [other, one] if swapped else [one, other]
    target = Map.vector(len(SPECIAL))
    view = View.whole(target)

    given = run_kernel(
        Binary(operator=operator, left=view, right=view, target=target), host, inputs=inputs
    )

    function = np.maximum if operator == "max" else np.minimum
    np.testing.assert_array_equal(given, function(one, other))


NAN_PIXEL = np.ones((5, 6, 6), np.float32)
NAN_PIXEL[2, 3, 1] = np.nan


@pytest.mark.parametrize("kind", ["largest of all", "mean of all", "softmax", "local norm"])
def test_a_nan_reaches_every_result_that_depends_on_it(kind, host):
    spec = EVERY_KIND_WITH_A_MAP_AS_RESULT[kind]

    given = run_kernel(spec, host, inputs=[NAN_PIXEL.ravel()]).reshape(-1, 6)

    reached = {"softmax": 6, "local norm": 3}.get(kind, 1)
    assert np.isnan(given).sum() == reached


def test_a_nan_is_not_hidden_by_the_floor_of_a_length(host):
    vector = np.array([3.0, np.nan, 4.0], np.float32)
    target = Map.vector(3)
    spec = Normalise(source=View.whole(target), target=target, smallest=1e-12)

    assert np.isnan(run_kernel(spec, host, inputs=[vector])).all()


def test_the_largest_of_nothing_but_minus_infinity_is_that(host):
    spec = EVERY_KIND_WITH_A_MAP_AS_RESULT["largest of windows"]
    data = np.full(spec.source.map.size, -np.inf, np.float32)

    assert (run_kernel(spec, host, inputs=[data]) == -np.inf).all()
