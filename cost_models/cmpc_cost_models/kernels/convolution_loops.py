"""The loops around a tile of a convolution's result, and the steps of the reduction inside it.

    block of channels, row of tiles, tile                          one part of the input channels
    row of tiles, block of channels, tile                          the same, the other order
    block of channels, part of input channels, row of tiles, tile  several parts

The two outermost loops of the first two, and the outermost of the third, may be divided among
threads: their tiles don't meet.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from cmpc_cost_models.kernels.parts import COMPUTED, Expr
from cmpc_cost_models.plans.specs import Convolution
from cmpc_cost_models.schedules.schedule import Schedule
from cmpc_cost_models.schedules.tiling import Tile

__all__ = ["Corner", "num_blocks", "positions", "steps", "tiles"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Corner:
    """Where a tile starts, and what of the reduction is to be done for it now.

    Attributes:
        y, x, channel: Its first pixel and output channel.
        first_input: The first input channel of its group.
        block, part: Which weights it reads.
        waiting, place: Memory for the sums between two parts, and where this tile's are;
            ``None`` where there is one part only.
    """

    y: Expr
    x: Expr
    channel: Expr
    first_input: Expr
    block: Expr
    part: Expr
    waiting: Expr
    place: Expr


def num_blocks(spec: Convolution, tile: Tile) -> int:
    """Return how many tiles lie side by side along the channels of all groups."""
    size = spec.group_channels
    return spec.out_channels // size * -(-size // tile.channels)


def positions(tile: Tile, corner: Corner) -> Iterator[tuple[int, Expr, Expr, int]]:
    """Yield accumulator, row, column and first channel within the tile of each of its vectors."""
    places = product(range(tile.rows), range(tile.columns), range(tile.vectors))
    for index, (row, column, vector) in enumerate(places):
        yield index, corner.y + row, corner.x + column, vector * tile.lanes


@contextmanager
def tiles(spec: Convolution, schedule: Schedule) -> Iterator[Corner]:
    """Loop over the tiles of a result, and the parts of the reduction."""
    tile = schedule.tile
    num_rows = -(-spec.target.height // tile.rows)
    num_columns = -(-spec.target.width // tile.columns)
    blocks = num_blocks(spec, tile)
    if schedule.depth_parts > 1:
        with _outer(schedule, blocks) as block:
            size = num_rows * num_columns * tile.num_accumulators * tile.lanes
            waiting = T.alloc_buffer((size,), COMPUTED)
            grid = T.grid(schedule.depth_parts, num_rows, num_columns)
            with grid as (part, row, column):
                place = (row * num_columns + column) * tile.num_accumulators * tile.lanes
                yield _corner(spec, tile, (row, column, block), part=part, rest=(waiting, place))
        return
    is_channels_first = schedule.order == "channels"
    outer, inner = (blocks, num_rows) if is_channels_first else (num_rows, blocks)
    with _two_loops(schedule, outer, inner) as pair, T.serial(num_columns) as column:
        block, row = pair if is_channels_first else pair[::-1]
        yield _corner(spec, tile, (row, column, block), part=0, rest=(None, None))


@contextmanager
def steps(spec: Convolution, schedule: Schedule) -> Iterator[list[tuple[Expr, Expr, Expr]]]:
    """Loop over taps and the input channels of one part: (row of the window, column, input).

    Each turn does the steps that it yields, one after another.
    """
    (height, width), depth = spec.window.kernel, spec.depth // schedule.depth_parts
    unroll = schedule.unroll
    if unroll == height * width * depth:
        yield list(product(range(height), range(width), range(depth)))
    elif unroll == width * depth:
        with T.serial(height) as dy:
            yield [(dy, dx, inner) for dx in range(width) for inner in range(depth)]
    else:
        with T.serial(height) as dy, T.serial(width) as dx, T.serial(depth // unroll) as turn:
            yield [(dy, dx, turn * unroll + inner) for inner in range(unroll)]


def _corner(
    spec: Convolution, tile: Tile, number: tuple[Expr, Expr, Expr], *, part: Expr, rest: Any
) -> Corner:
    """Return the corner of the tile in this row, column and block: the last ones move back."""
    row, column, block = number
    target, size = spec.target, spec.group_channels
    per_group = -(-size // tile.channels)
    is_grouped = size < spec.out_channels
    group, place = (block // per_group, block % per_group) if is_grouped else (0, block)
    waiting, waiting_place = rest
    return Corner(
        y=tirx.min(row * tile.rows, target.height - tile.rows),
        x=tirx.min(column * tile.columns, target.width - tile.columns),
        channel=group * size + tirx.min(place * tile.channels, size - tile.channels),
        first_input=group * spec.depth,
        block=block,
        part=part,
        waiting=waiting,
        place=waiting_place,
    )


@contextmanager
def _two_loops(schedule: Schedule, outer: int, inner: int) -> Iterator[tuple[Expr, Expr]]:
    """Loop over two indices; as one parallel loop, so that threads get equal shares."""
    if schedule.is_parallel:
        with T.parallel(outer * inner) as index:
            yield index // inner, index % inner
    else:
        with T.serial(outer) as first, T.serial(inner) as second:
            yield first, second


@contextmanager
def _outer(schedule: Schedule, extent: int) -> Iterator[Expr]:
    with (T.parallel if schedule.is_parallel else T.serial)(extent) as index:
        yield index
