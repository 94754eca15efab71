"""What single kernels write: run alone, on a result whose memory held something else."""

from dataclasses import replace

import numpy as np
import pytest
import tvm

from cmpc_cost_models.lowering.kernel_code import write_kernel
from cmpc_cost_models.lowering.kernel_objects import compile_kernel
from cmpc_cost_models.lowering.kernel_specs import (
    Affine,
    Binary,
    Concat,
    Convolution,
    GlobalMean,
    ImageToMap,
    LocalNorm,
    Map,
    MaxPool,
    MeanPool,
    Normalise,
    Pad,
    Resize,
    Shuffle,
    Softmax,
    View,
    Window,
)
from cmpc_cost_models.lowering.schedules import Workload, rule_schedule

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
    "convolution": Convolution(source=WHOLE, target=SAME, kernel=(3, 3), pads=(1, 1)),
    "convolution beside a map": Convolution(source=WHOLE, target=LONGER, kept=WHOLE),
    "depthwise convolution": Convolution(
        source=WHOLE, target=SAME, kernel=(3, 3), pads=(1, 1), groups=6
    ),
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
