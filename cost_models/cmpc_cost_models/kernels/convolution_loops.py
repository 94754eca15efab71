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

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from cmpc_cost_models.kernels.parts import COMPUTED, Expr
from cmpc_cost_models.plans.specs import Convolution
from cmpc_cost_models.schedules.schedule import Schedule
from cmpc_cost_models.schedules.tiling import Tile

__all__ = ["Corner", "Partial", "num_blocks", "positions", "steps", "tiles"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Corner:
    """Where a tile starts: its first pixel and channels, and the block of weights that it reads.

    Attributes:
        channel: Its first output channel.
        first_input: The first input channel of its group.
    """

    y: Expr
    x: Expr
    channel: Expr
    first_input: Expr
    block: Expr


@dataclass(frozen=True, kw_only=True, slots=True)
class Partial:
    """Which part of the reduction is to be done for a tile, and where its sums wait in between.

    Attributes:
        part: Its number.
        memory: Holds the sums of all tiles of a block.
        start: Where those of this tile begin.
    """

    part: Expr
    memory: Expr
    start: Expr


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
def tiles(spec: Convolution, schedule: Schedule) -> Iterator[tuple[Corner, Partial | None]]:
    """Loop over the tiles of a result, and over the parts of the reduction if there are several."""
    with (_tiles_in_parts if schedule.depth_parts > 1 else _whole_tiles)(spec, schedule) as tile:
        yield tile


@contextmanager
def _whole_tiles(spec: Convolution, schedule: Schedule) -> Iterator[tuple[Corner, None]]:
    num_rows, num_columns = _num_tiles(spec, schedule.tile)
    blocks = num_blocks(spec, schedule.tile)
    is_channels_first = schedule.order == "channels"
    outer, inner = (blocks, num_rows) if is_channels_first else (num_rows, blocks)
    with _two_loops(schedule, outer, inner) as pair, T.serial(num_columns) as column:
        block, row = pair if is_channels_first else pair[::-1]
        yield _corner(spec, schedule.tile, (row, column, block)), None


@contextmanager
def _tiles_in_parts(spec: Convolution, schedule: Schedule) -> Iterator[tuple[Corner, Partial]]:
    tile, (num_rows, num_columns) = schedule.tile, _num_tiles(spec, schedule.tile)
    with _outer(schedule, num_blocks(spec, tile)) as block:
        size = num_rows * num_columns * tile.num_accumulators * tile.lanes
        memory = T.alloc_buffer((size,), COMPUTED)
        with T.grid(schedule.depth_parts, num_rows, num_columns) as (part, row, column):
            start = (row * num_columns + column) * tile.num_accumulators * tile.lanes
            partial = Partial(part=part, memory=memory, start=start)
            yield _corner(spec, tile, (row, column, block)), partial


def _num_tiles(spec: Convolution, tile: Tile) -> tuple[int, int]:
    """Return how many tiles cover the rows and the columns."""
    return -(-spec.target.height // tile.rows), -(-spec.target.width // tile.columns)


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


def _corner(spec: Convolution, tile: Tile, number: tuple[Expr, Expr, Expr]) -> Corner:
    """Return the corner of the tile in this row, column and block: the last ones move back."""
    row, column, block = number
    target, size = spec.target, spec.group_channels
    per_group = -(-size // tile.channels)
    is_grouped = size < spec.out_channels
    group, place = (block // per_group, block % per_group) if is_grouped else (0, block)
    return Corner(
        y=tirx.min(row * tile.rows, target.height - tile.rows),
        x=tirx.min(column * tile.columns, target.width - tile.columns),
        channel=group * size + tirx.min(place * tile.channels, size - tile.channels),
        first_input=group * spec.depth,
        block=block,
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
