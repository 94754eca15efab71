"""Which schedules can compute a workload, and which is good without any measurement?

``rule_schedule`` chooses one at once, ``schedule_space`` lists all that are worth a measurement.
"""

import dataclasses
from collections.abc import Iterator
from itertools import product

from cmpc_cost_models.plans.specs import (
    Affine,
    Binary,
    Concat,
    Convolution,
    ImageToMap,
    KernelSpec,
    LocalNorm,
    MapToImage,
    MaxPool,
    MeanPool,
    Pad,
    Resize,
    Shuffle,
)
from cmpc_cost_models.schedules.schedule import ORDERS, Order, Origin, Schedule, ScheduleSource
from cmpc_cost_models.schedules.tiling import all_tiles, choose_tile, rank_tiles
from cmpc_cost_models.schedules.workload import Workload
from cmpc_cost_models.targets.target import REGISTERS

__all__ = ["RULES_ONLY", "is_valid", "rule_schedule", "schedule_space"]

# A parallel loop costs its launch, some microseconds. Measured with two threads on a network of
# 0.2 ms (eight blocks at 64 px): from 100,000 on it takes 19 % longer than from 400,000 on, from
# 1,500,000 on 2 %; networks of 3 and 7 ms take 7 % longer with the last and don't mind the others.
FEWEST_PARALLEL_MACS = 400_000
FEWEST_PARALLEL_NUMBERS = 200_000
# The others are tiny.
PARALLEL_KERNELS = (
    *(Affine, Binary, Concat, Convolution, ImageToMap, LocalNorm, MapToImage, MaxPool, MeanPool),
    *(Pad, Resize, Shuffle),
)
LARGEST_UNROLL = 8  # reduction steps written out; more only makes LLVM slow
MOST_WRITTEN_OUT = 1024  # multiply-adds in the innermost loop's body
MOST_TILES_IN_SPACE = 24
SMALLEST_DEPTH_PART = 16  # input channels; fewer and the sums come and go too often


class _Rules:
    """The source that needs no measurement."""

    def find(self, workload: Workload) -> tuple[Schedule, Origin]:
        return rule_schedule(workload), "rule"

    def state_sha256(self) -> str:
        return ""  # the rules are code, and the pipeline's version tells of that


RULES_ONLY: ScheduleSource = _Rules()


def is_valid(schedule: Schedule, workload: Workload) -> bool:
    """Return whether ``schedule`` can compute ``workload``: a record of another shape may not."""
    spec, tile = workload.spec, schedule.tile
    if schedule.is_parallel and not _may_be_parallel(workload):
        return False
    if not isinstance(spec, Convolution):
        return schedule == Schedule(is_parallel=schedule.is_parallel)
    return (
        1 <= tile.rows <= spec.target.height
        and 1 <= tile.columns <= spec.target.width
        and 1 <= tile.channels <= spec.group_channels
        and 1 <= tile.lanes <= workload.vector_numbers
        and tile.lanes & (tile.lanes - 1) == 0
        and 1 <= tile.num_accumulators < REGISTERS[workload.vector_bits]
        and schedule.depth_parts in _depth_parts(spec)
        and schedule.unroll in _unrolls(spec, schedule.depth_parts)
        and schedule.order in (ORDERS if schedule.depth_parts == 1 else ORDERS[:1])
    )


def rule_schedule(workload: Workload) -> Schedule:
    """Return the schedule that is good without any measurement."""
    spec = workload.spec
    is_parallel = _is_worth_threads(workload)
    if not isinstance(spec, Convolution):
        return Schedule(is_parallel=is_parallel)
    target = spec.target
    tile = choose_tile(
        target.height,
        target.width,
        spec.group_channels,
        vector_bits=workload.vector_bits,
        is_depthwise=spec.is_depthwise,
    )
    # A row of a depthwise window is written out: what two taps read is loaded once. Its blocks of
    # channels read one map in turn: row by row, so that a cache line is fetched once for all.
    unroll = spec.window.kernel[1] if spec.is_depthwise else 1
    order: Order = "rows" if spec.is_depthwise else "channels"
    return Schedule(**dataclasses.asdict(tile), unroll=unroll, order=order, is_parallel=is_parallel)


def schedule_space(workload: Workload) -> Iterator[Schedule]:
    """Yield all schedules worth a measurement: the rule's first, then the likely ones first."""
    first = rule_schedule(workload)
    yield first
    parallel = (False, True) if _may_be_parallel(workload) else (False,)
    for is_parallel in parallel:
        for one in _variants(workload.spec, workload.vector_bits, is_parallel):
            if one != first and is_valid(one, workload):
                yield one


def _variants(spec: KernelSpec, vector_bits: int, is_parallel: bool) -> Iterator[Schedule]:
    if not isinstance(spec, Convolution):
        yield Schedule(is_parallel=is_parallel)
        return
    size = (spec.target.height, spec.target.width, spec.group_channels)
    tiles = rank_tiles(all_tiles(*size, vector_bits=vector_bits), *size)[:MOST_TILES_IN_SPACE]
    for tile in tiles:
        for parts, order in product(_depth_parts(spec), ORDERS):
            for unroll in _unrolls(spec, parts):
                if unroll == 1 or unroll * tile.num_accumulators <= MOST_WRITTEN_OUT:
                    yield Schedule(
                        **dataclasses.asdict(tile),
                        unroll=unroll,
                        depth_parts=parts,
                        order=order,
                        is_parallel=is_parallel,
                    )


def _depth_parts(spec: Convolution) -> tuple[int, ...]:
    """Return into how many equal parts the input channels may be divided."""
    parts = (2**power for power in range(1, 8))
    is_one = (one for one in parts if spec.depth % one == 0)
    return (1, *(one for one in is_one if spec.depth // one >= SMALLEST_DEPTH_PART))


def _unrolls(spec: Convolution, parts: int) -> tuple[int, ...]:
    """Return how many steps may be written out: whole turns of the innermost loops."""
    (height, width), depth = spec.window.kernel, spec.depth // parts
    turns = {one for one in range(1, LARGEST_UNROLL + 1) if depth % one == 0}
    return tuple(sorted(turns | {depth * width, depth * width * height}))


def _may_be_parallel(workload: Workload) -> bool:
    return workload.num_threads > 1 and isinstance(workload.spec, PARALLEL_KERNELS)


def _is_worth_threads(workload: Workload) -> bool:
    if not _may_be_parallel(workload):
        return False
    if isinstance(workload.spec, Convolution):
        return workload.spec.macs >= FEWEST_PARALLEL_MACS
    return workload.spec.target.size >= FEWEST_PARALLEL_NUMBERS
