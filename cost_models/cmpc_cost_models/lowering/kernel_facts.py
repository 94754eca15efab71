"""What does a kernel compute, on what size, with how much arithmetic? Facts for profiles.

Counted from the specification, not from the loops: tiles that overlap compute some values twice,
and that is a cost of the schedule, not work of the network. Free of TVM, but for
``foreign_records``, which asks TVM to count in the loops that its importer made.
"""

import re
from collections.abc import Mapping
from typing import Any

from cmpc_cost_models.base import KernelRecord
from cmpc_cost_models.lowering.kernel_specs import (
    Affine,
    Convolution,
    GlobalMean,
    Map,
    MaxPool,
    Normalise,
)

__all__ = ["flops_of", "foreign_records", "kernel_record", "kind_of", "shape_of"]

NORMALISE_FLOPS = 3  # of a number: square, add, divide
UNKNOWN = 0  # copies do no arithmetic, and of kinds that are not listed none is claimed


def kernel_record(
    symbol: str, spec: object, origin: str, schedule: Mapping[str, Any] | None = None
) -> KernelRecord:
    """Return the facts of a kernel written for ``spec`` and called ``symbol``."""
    return KernelRecord(
        symbol=symbol,
        kind=kind_of(spec),
        shape=shape_of(spec),
        flops=flops_of(spec),
        origin=origin,
        schedule=schedule,
    )


def foreign_records(module: Any) -> tuple[KernelRecord, ...]:
    """Return the facts of each loop nest in ``module``, a TVM module that was imported and fused."""
    from tvm import tirx

    return tuple(
        KernelRecord(
            symbol=variable.name_hint,
            kind=re.sub(r"\d+$", "", variable.name_hint).removeprefix("fused_").replace("_", " "),
            shape=_parameter_shapes(function),
            flops=_counted_flops(function),
            origin="importer",
        )
        for variable, function in module.functions.items()
        if isinstance(function, tirx.PrimFunc)
    )


def kind_of(spec: object) -> str:
    """Say what a kernel computes: the layer, and what it has taken in."""
    if not isinstance(spec, Convolution):
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(spec).__name__).lower()
    size = max(spec.source.map.height, spec.source.map.width)
    name = "depthwise convolution" if spec.is_depthwise else "convolution"
    taken_in = [part for part in ("residual", "kept") if getattr(spec, part) is not None]
    words = [name if size > 1 else "dense", *taken_in, *(["relu"] if spec.relu else [])]
    return " + ".join({"kept": "concat"}.get(word, word) for word in words)


def shape_of(spec: object) -> str:
    """Say of what size a kernel is: window and stride, then height x width x channels."""
    target = getattr(spec, "target", None)
    source = getattr(getattr(spec, "source", None), "map", None)
    if not isinstance(target, Map):
        return ""
    channels = spec.out_channels if isinstance(spec, Convolution) else target.channels
    text = _size(target.height, target.width, channels)
    if isinstance(source, Map):
        read = getattr(getattr(spec, "source", None), "channels", source.channels)
        text = f"{_size(source.height, source.width, read)} to {text}"
    return f"{_window(spec)}{text}"


def flops_of(spec: object) -> int:
    """Count the arithmetic of one call, two operations for a multiply-add.

    A specification of a kind not listed here may tell it itself, as ``flops``.
    """
    if isinstance(spec, Convolution):
        target = spec.target
        depth = 1 if spec.is_depthwise else spec.source.channels
        taps = spec.kernel[0] * spec.kernel[1] * depth
        return 2 * target.height * target.width * spec.out_channels * taps
    if isinstance(spec, GlobalMean):
        return spec.source.map.height * spec.source.map.width * spec.target.channels
    if isinstance(spec, MaxPool):
        return _num_values(spec.target) * spec.kernel**2
    if isinstance(spec, Affine):
        return 2 * _num_values(spec.target)
    if isinstance(spec, Normalise):
        return NORMALISE_FLOPS * _num_values(spec.target)
    return int(getattr(spec, "flops", UNKNOWN))


def _num_values(stored: Map) -> int:
    return stored.height * stored.width * stored.channels


def _size(height: int, width: int, channels: int) -> str:
    return f"{height}x{width}x{channels}" if max(height, width) > 1 else str(channels)


def _window(spec: object) -> str:
    """Return ``3x3/2 `` for a window of 3 x 3 that moves by 2; nothing for one that sees one pixel."""
    kernel, stride = getattr(spec, "kernel", None), getattr(spec, "stride", 1)
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    if sides is None or tuple(sides) == (1, 1) == (stride, 1):
        return ""
    moved = f"/{stride}" if stride != 1 else ""
    return f"{sides[0]}x{sides[1]}{moved}, "


def _parameter_shapes(function: Any) -> str:
    """Return the sizes of a loop nest's buffers, its result last."""
    shapes = ["x".join(str(size) for size in one.shape) for one in function.buffer_map.values()]
    return f"{', '.join(shapes[:-1])} to {shapes[-1]}" if len(shapes) > 1 else "".join(shapes)


def _counted_flops(function: Any) -> int:
    """Let TVM count the operations in a loop nest; 0 where it can't, for a bound not known yet."""
    import tvm
    from tvm.s_tir.analysis import estimate_tir_flops

    try:
        return int(estimate_tir_flops(tvm.IRModule({"main": function})))
    except (ValueError, RuntimeError):  # TVM's own errors inherit from these
        return UNKNOWN
