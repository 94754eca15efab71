"""How large a piece of a convolution's result stays in registers while the reduction runs?

A tile is ``rows x columns`` pixels times ``vectors`` vectors of channels. Its accumulators must fit
the registers, and there must be enough of them to hide the latency of multiply-add. A result need
not divide into tiles: the last tile moves back until it fits and computes some values twice. That
costs a little arithmetic and spares all code for remainders.
"""

import math
from dataclasses import dataclass
from functools import cache

from cmpc_cost_models.targets.target import REGISTERS

__all__ = ["Tile", "all_tiles", "choose_tile", "rank_tiles", "vector_lanes"]

SUM_BITS = 32  # of one sum of a tile
LATENCY_HIDDEN_FROM = 8  # accumulators: two multiply-add units with four cycles of latency
LOAD_COST = 0.35  # of a multiply-add; there are two loads a cycle
LOOP_COST = 1.5  # of a multiply-add, for one turn of the reduction loop
REGISTERS_KEPT_FREE = 4  # weights and broadcasts


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """The pixels and channels whose sums stay in registers."""

    rows: int
    columns: int
    vectors: int
    lanes: int

    @property
    def num_accumulators(self) -> int:
        return self.rows * self.columns * self.vectors

    @property
    def channels(self) -> int:
        return self.vectors * self.lanes


def vector_lanes(channels: int, vector_numbers: int) -> int:
    """Return the widest power of two of lanes that a vector and the channels allow."""
    return min(vector_numbers, 1 << (channels.bit_length() - 1))


def all_tiles(height: int, width: int, channels: int, *, vector_bits: int) -> list[Tile]:
    """Return every tile that fits the result and the registers, with full and half vectors."""
    widest = vector_lanes(channels, vector_bits // SUM_BITS)
    most = REGISTERS[vector_bits] - REGISTERS_KEPT_FREE
    return [
        Tile(rows=rows, columns=columns, vectors=vectors, lanes=lanes)
        for lanes in (widest, widest // 2)
        if lanes
        for vectors in range(1, min(channels // lanes, most) + 1)
        for rows in range(1, min(height, most // vectors) + 1)
        for columns in range(1, min(width, most // (vectors * rows)) + 1)
    ]


def rank_tiles(tiles: list[Tile], height: int, width: int, channels: int) -> list[Tile]:
    """Return the tiles with the least estimated work first; equal ones keep their order."""
    return sorted(tiles, key=lambda tile: _estimated_work(tile, height, width, channels))


@cache
def choose_tile(
    height: int, width: int, channels: int, *, vector_bits: int, is_depthwise: bool = False
) -> Tile:
    """Return the tile with the least estimated work for a result of this size."""
    tiles = all_tiles(height, width, channels, vector_bits=vector_bits)
    if is_depthwise:
        # Each vector of channels has weights and data of its own: a second one shares nothing with
        # the first and takes its registers. Half of them hold sums, the others a row of weights and
        # of data. Measured at 14 to 112 px: twice as fast as tiles of three and four vectors.
        most = REGISTERS[vector_bits] // 2 - 2
        tiles = [tile for tile in tiles if tile.vectors == 1 and tile.num_accumulators <= most]
    return min(tiles, key=lambda tile: _estimated_work(tile, height, width, channels))


def _estimated_work(tile: Tile, height: int, width: int, channels: int) -> float:
    """Estimate multiply-adds for one turn of the reduction over the whole result."""
    num_tiles = (
        math.ceil(height / tile.rows)
        * math.ceil(width / tile.columns)
        * math.ceil(channels / tile.channels)
    )
    loads = tile.vectors + tile.rows * tile.columns
    arithmetic = max(tile.num_accumulators, LATENCY_HIDDEN_FROM)
    return num_tiles * (arithmetic + LOAD_COST * loads + LOOP_COST)
