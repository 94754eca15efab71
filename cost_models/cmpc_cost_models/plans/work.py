"""How much does a kernel do? Its arithmetic, what it reads and what it writes, from its spec.

Counted from the specification, not from the loops: tiles that overlap compute some values twice,
and that is a cost of the schedule, not work of the network.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from cmpc_cost_models.plans.maps import View
from cmpc_cost_models.plans.specs import (
    Affine,
    Binary,
    Convolution,
    GlobalMean,
    KernelSpec,
    LocalNorm,
    MaxPool,
    MeanPool,
    Normalise,
    Softmax,
)

__all__ = ["Work", "num_read", "views_of", "work_of"]

NORMALISE_FLOPS = 3  # of a number: square, add, divide
SOFTMAX_FLOPS = 5  # of a number: largest, subtract, exponential, add, divide
LOCAL_NORM_FLOPS = 4  # of a number, beside two for each neighbour


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What one call of a kernel does: operations on numbers, and bytes read and written."""

    flops: int
    num_bytes: int


def work_of(spec: KernelSpec) -> Work:
    """Count what one call does: each value that it reads once, its constants, all that it writes.

    What lies around the pixels of a view is not read; the border of the target is written.
    """
    num_written = spec.target.size + _num_constants(spec)  # constants are of the target's type
    num_bytes = num_written * spec.target.bytes_per_number
    num_bytes += sum(one.size * one.map.bytes_per_number for one in views_of(spec))
    return Work(flops=_flops_of(spec), num_bytes=num_bytes)


def views_of(spec: KernelSpec) -> Iterator[View]:
    """Yield what a kernel reads of other kernels' results, those side by side one after another."""
    for field in fields(spec):
        value = getattr(spec, field.name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, View):
                yield part


def num_read(spec: KernelSpec) -> int:
    """Return how many numbers of other kernels' results a kernel reads, each once."""
    return sum(one.size for one in views_of(spec))


def _flops_of(spec: KernelSpec) -> int:
    """Count the arithmetic of one call, two operations for a multiply-add; copies do none.

    Activations, biases and residuals that a convolution has taken in are not counted.
    """
    num_values = spec.target.height * spec.target.width * spec.target.channels
    if isinstance(spec, Convolution):
        return 2 * spec.macs
    if isinstance(spec, MaxPool | MeanPool):
        return num_values * spec.window.num_taps
    if isinstance(spec, GlobalMean):
        return num_values * spec.source.map.height * spec.source.map.width
    if isinstance(spec, LocalNorm):
        return num_values * (2 * spec.size + LOCAL_NORM_FLOPS)
    per_value = {Affine: 2, Binary: 1, Normalise: NORMALISE_FLOPS, Softmax: SOFTMAX_FLOPS}
    return num_values * per_value.get(type(spec), 0)


def _num_constants(spec: KernelSpec) -> int:
    """Return how many numbers of weights, biases, factors and shifts a kernel reads."""
    if isinstance(spec, Convolution):
        return spec.out_channels * (spec.window.num_taps * spec.depth + 1)
    if isinstance(spec, Affine):
        return spec.target.channels * (3 if spec.has_slopes else 2)
    return 0
