"""What does a kernel compute, on what size, with how much arithmetic? Facts for profiles.

Free of TVM, but for ``foreign_records``, which asks TVM to count in the loops that its importer
made.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from cmpc_cost_models.plans.maps import Map, View
from cmpc_cost_models.plans.specs import Binary, Convolution, KernelSpec, MaxPool, MeanPool
from cmpc_cost_models.plans.work import work_of
from cmpc_cost_models.records import KernelRecord
from cmpc_cost_models.schedules.workload import Workload

__all__ = ["foreign_records", "kernel_record", "kind_of", "shape_of"]


def kernel_record(
    symbol: str, workload: Workload, origin: str, schedule: Mapping[str, Any]
) -> KernelRecord:
    """Return the facts of a kernel of ours that is called ``symbol``."""
    spec = workload.spec
    return KernelRecord(
        symbol=symbol,
        kind=kind_of(spec),
        shape=shape_of(spec),
        **asdict(work_of(spec)),
        origin=origin,
        workload=workload.key,
        schedule=schedule,
    )


def foreign_records(module: Any) -> tuple[KernelRecord, ...]:
    """Return the facts of each loop nest in ``module``, which TVM imported and fused."""
    from tvm import tirx

    return tuple(
        KernelRecord(
            symbol=variable.name_hint,
            kind=re.sub(r"\d+$", "", variable.name_hint).removeprefix("fused_").replace("_", " "),
            shape=_parameter_shapes(function),
            flops=_counted_flops(function),
            num_bytes=_parameter_bytes(function),
            origin="importer",
        )
        for variable, function in module.functions.items()
        if isinstance(function, tirx.PrimFunc)
    )


def kind_of(spec: KernelSpec) -> str:
    """Say what a kernel computes: the layer, and what it has taken in."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(spec).__name__).lower()
    if isinstance(spec, Convolution):
        name = _kind_of_convolution(spec)
    elif isinstance(spec, Binary):
        name = spec.operator
    activation = getattr(spec, "activation", None)
    words = [name]
    words += ["residual"] if getattr(spec, "residual", None) else []
    words += ["concat"] if getattr(spec, "kept", None) else []
    words += [activation.kind.replace("_", " ")] if activation else []
    return " + ".join(words)


def shape_of(spec: KernelSpec) -> str:
    """Say of what size a kernel is: window and stride, then height x width x channels."""
    channels = spec.out_channels if isinstance(spec, Convolution) else spec.target.channels
    text = _size(spec.target, channels)
    source = getattr(spec, "source", getattr(spec, "left", None))
    if isinstance(source, View):
        text = f"{_size(source.map, source.channels)} to {text}"
    return f"{_window(spec)}{text}"


def _kind_of_convolution(spec: Convolution) -> str:
    if spec.source.map.height * spec.source.map.width == 1 == spec.window.num_taps:
        return "dense"
    if spec.is_depthwise:
        return "depthwise convolution"
    return "grouped convolution" if spec.groups > 1 else "convolution"


def _size(stored: Map, channels: int) -> str:
    is_map = max(stored.height, stored.width) > 1
    return f"{stored.height}x{stored.width}x{channels}" if is_map else str(channels)


def _window(spec: KernelSpec) -> str:
    """Return ``3x3/2, `` for a window of 3 x 3 that moves by 2; nothing for a mere pixel."""
    if not isinstance(spec, Convolution | MaxPool | MeanPool):
        return ""
    window = spec.window
    text = "x".join(map(str, window.kernel))
    text += f"/{_once(window.strides)}" if window.strides != (1, 1) else ""
    text += f" dilated {_once(window.dilations)}" if window.dilations != (1, 1) else ""
    return "" if text == "1x1" else f"{text}, "


def _once(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"


def _parameter_shapes(function: Any) -> str:
    """Return the sizes of a loop nest's buffers, its result last."""
    buffers = [one for one in function.params if hasattr(one, "shape")]
    # Of a fixed size only the number is wanted, without TVM's name of its type.
    shapes = ["x".join(str(getattr(size, "value", size)) for size in one.shape) for one in buffers]
    return f"{', '.join(shapes[:-1])} to {shapes[-1]}" if len(shapes) > 1 else "".join(shapes)


def _parameter_bytes(function: Any) -> int | None:
    """Return the bytes of a loop nest's buffers; None where a size is computed."""
    buffers = [one for one in function.params if hasattr(one, "shape")]
    try:
        return sum(
            math.prod(map(int, one.shape)) * np.dtype(str(one.dtype)).itemsize for one in buffers
        )
    except TypeError:
        return None


def _counted_flops(function: Any) -> int | None:
    """Let TVM count the operations of a loop nest; None where it can't, as for a computed bound."""
    import tvm
    from tvm.s_tir.analysis import estimate_tir_flops

    try:
        return int(estimate_tir_flops(tvm.IRModule({"main": function})))
    except (ValueError, RuntimeError):  # TVM's own errors inherit from these
        return None
