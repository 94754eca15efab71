"""Write the TVM code (TIR) of each kernel: which writer does which kind.

Written out rather than scheduled: the loop nest we want is known, and building it takes a
millisecond where scheduling primitives and their checks take tens. All buffers are flat;
the parameters of a kernel are its first input, its constants, its other inputs and its result.

    convolution   convolutions and dense layers, and how their weights are packed
    maps          copies and arithmetic that go over a map once
    pools         windows' largest and mean
    norms         norms and softmax
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.kernels import maps, norms, pools
from cmpc_cost_models.kernels.convolution import pack_weight, write_convolution
from cmpc_cost_models.kernels.parts import Loops
from cmpc_cost_models.plans.maps import KERNEL_DTYPES
from cmpc_cost_models.plans.specs import (
    Affine,
    Binary,
    Concat,
    Convolution,
    GlobalMean,
    ImageToMap,
    KernelSpec,
    LocalNorm,
    MapToImage,
    MaxPool,
    MeanPool,
    Normalise,
    Pad,
    Resize,
    Shuffle,
    Softmax,
)
from cmpc_cost_models.plans.work import views_of
from cmpc_cost_models.schedules.schedule import Schedule
from cmpc_cost_models.schedules.workload import Workload

__all__ = ["pack_constants", "write_kernel"]

Array = npt.NDArray[np.float32]


def write_kernel(workload: Workload, schedule: Schedule) -> Any:
    """Return the TIR function that computes ``workload`` as ``schedule``, a valid one, says.

    Raises:
        BadArgument: there are no kernels for the type of the numbers in some map.
    """
    _require_kernels(workload.spec)
    loops = Loops(schedule=schedule, vector_numbers=workload.vector_numbers)
    with IRBuilder() as builder:
        with T.prim_func(is_private=True):
            T.func_attr({"tirx.noalias": True})
            _WRITERS[type(workload.spec)](workload.spec, loops)
        return builder.get()


def _require_kernels(spec: KernelSpec) -> None:
    maps = (*(view.map for view in views_of(spec)), spec.target)
    if other := {one.dtype for one in maps} - set(KERNEL_DTYPES):
        raise BadArgument(
            f"the maps of a kernel must hold {' or '.join(KERNEL_DTYPES)}, "
            f"got {', '.join(sorted(other))} in {type(spec).__name__}"
        )


def pack_constants(
    spec: KernelSpec, schedule: Schedule, constants: Sequence[Array]
) -> tuple[Array, ...]:
    """Return a call's constants, flat float32, in the order in which the kernel reads them."""
    if not isinstance(spec, Convolution):
        return tuple(constants)
    weight, *others = constants
    return (pack_weight(spec, schedule, weight), *others)


_WRITERS: dict[type, Callable[[Any, Loops], None]] = {
    Affine: maps.write_affine,
    Binary: maps.write_binary,
    Concat: maps.write_concat,
    Convolution: write_convolution,
    GlobalMean: pools.write_global_mean,
    ImageToMap: maps.write_image_to_map,
    LocalNorm: norms.write_local_norm,
    MapToImage: maps.write_map_to_image,
    MaxPool: pools.write_max_pool,
    MeanPool: pools.write_mean_pool,
    Normalise: norms.write_normalise,
    Pad: maps.write_pad,
    Resize: maps.write_resize,
    Shuffle: maps.write_shuffle,
    Softmax: norms.write_softmax,
}
