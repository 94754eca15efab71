"""Which tuned workload is most like another one, and how does its schedule fit there?

What must be equal is the kind: the operation, how it steps over its source, the processor and the
threads. Sizes may differ, and count by their ratio: a layer of 96 channels is as far from one of 48
as from one of 192. Where the memory around differs (borders, a residual, a concatenation), the
distance is none: loads and sums, which a schedule orders, are the same.
"""

import dataclasses
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self, TypeVar

from cmpc_cost_models.plans.specs import Convolution
from cmpc_cost_models.schedules.rules import is_valid, rule_schedule, schedule_space
from cmpc_cost_models.schedules.schedule import Schedule
from cmpc_cost_models.schedules.tiling import vector_lanes
from cmpc_cost_models.schedules.workload import Workload

__all__ = ["Features", "features_of", "nearest", "refit"]

Found = TypeVar("Found")

LARGEST_DISTANCE = 1.0  # doublings: one size by a factor of two, or several by less
KERNEL_WEIGHT = 2.0  # a window's size moves unrolling and reuse more than a map's size does


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """What tells workloads apart for a schedule.

    Attributes:
        kind: Workloads of different kinds are never alike.
        sizes: Logarithms (base 2) of what may differ.
    """

    kind: str
    sizes: tuple[float, ...]

    def to_text(self) -> str:
        return json.dumps([self.kind, list(self.sizes)])

    @classmethod
    def from_text(cls, text: str) -> Self:
        kind, sizes = json.loads(text)
        return cls(kind=kind, sizes=tuple(sizes))

    def distance(self, other: "Features") -> float:
        """Return the distance in doublings, infinite between kinds."""
        return math.inf if self.kind != other.kind else math.dist(self.sizes, other.sizes)


def features_of(workload: Workload) -> Features:
    """Return the features of ``workload``."""
    spec, target = workload.spec, workload.spec.target
    kind = [type(spec).__name__, workload.cpu, workload.vector_bits, workload.num_threads]
    sizes = [math.log2(target.height), math.log2(target.width)]
    if isinstance(spec, Convolution):
        is_strided_view = spec.source.step > 1
        kind += [spec.is_depthwise, *spec.window.strides, *spec.window.dilations, is_strided_view]
        sizes += [KERNEL_WEIGHT * math.log2(taps) for taps in spec.window.kernel]
        sizes += [math.log2(spec.depth), math.log2(spec.group_channels), math.log2(spec.groups)]
        if spec.is_depthwise:
            sizes[-1] = 0.0  # the groups are the channels, which count already
    else:
        sizes += [math.log2(target.channels)]
    return Features(kind=" ".join(map(str, kind)), sizes=tuple(sizes))


def nearest(wanted: Features, known: Iterable[tuple[Features, Found]]) -> Found | None:
    """Return what is known of the nearest workload, ``None`` if none is near enough."""
    near = [(wanted.distance(features), found) for features, found in known]
    distance, found = min(near, key=lambda one: one[0], default=(math.inf, None))
    return found if distance <= LARGEST_DISTANCE else None


def refit(schedule: Schedule, workload: Workload) -> Schedule:
    """Return the valid schedule of ``workload`` that is most like ``schedule``."""
    fitted = _clipped(schedule, workload)
    if is_valid(fitted, workload):
        return fitted
    return min(schedule_space(workload), key=lambda one: _difference(one, fitted))


def _clipped(schedule: Schedule, workload: Workload) -> Schedule:
    """Return ``schedule`` with its tile cut to the result and its vectors to the processor's."""
    spec = workload.spec
    is_parallel = schedule.is_parallel and workload.num_threads > 1
    if not isinstance(spec, Convolution):
        return dataclasses.replace(rule_schedule(workload), is_parallel=is_parallel)
    channels = spec.group_channels
    lanes = min(schedule.lanes, vector_lanes(channels, workload.vector_numbers))
    return dataclasses.replace(
        schedule,
        rows=min(schedule.rows, spec.target.height),
        columns=min(schedule.columns, spec.target.width),
        vectors=min(schedule.vectors, channels // lanes),
        lanes=lanes,
        is_parallel=is_parallel,
    )


def _difference(one: Schedule, other: Schedule) -> float:
    """Return how much two schedules differ: numbers by their ratio, choices by one."""
    total = 0.0
    for field in dataclasses.fields(Schedule):
        a, b = getattr(one, field.name), getattr(other, field.name)
        is_number = isinstance(a, int) and not isinstance(a, bool) and a > 0 and b > 0
        total += abs(math.log2(a / b)) if is_number else float(a != b)
    return total
