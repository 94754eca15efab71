"""Store rows in 1 or 8 bits a value, so that a scan moves fewer bytes.

A search over n rows of float32 is bound by memory; codes of 8 bits are a quarter of the bytes.
``scanning.py`` says how such a scan stays exact; ``compiled/encoders.py`` what a code means and
which bounds are proven. Rows come in blocks of 16 that are interleaved, a row being one lane of the
vectors that a scan works with:

    packed[b, v, lane, i]    byte i of vector v: of row 16 b + lane, 8 / bits values that are four
                             apart, the first in the low bits; of 8-bit codes the upper four bits
    rests[b, v, lane, i]     the lower four bits of 8-bit codes, alike; else nothing [B, 0, 16, 4].
                             A search reads them only where the upper ones leave a doubt
    gains[b, lane]           the row's step; under "cosine" divided by its length, 0 for a zero row;
                             NaN for a row that holds NaN or infinite values: always looked at
    offsets[b, lane]         under "l2": minus half the squared length, else nothing [B, 0]
    bounds[b]                the block's largest errors and sizes, two numbers for each plane

Block b depends on its 16 rows alone. What pads the last block and vector is zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cmpc_kernels.checks import check_metric, check_rows
from cmpc_kernels.compiled.encoders import encode_blocks, num_stages
from cmpc_kernels.compiled.intrinsics import LANES
from cmpc_kernels.errors import BadArgument
from cmpc_kernels.metrics import METRIC_NUMBERS

__all__ = [
    "MAX_DIMENSION",
    "RowCodes",
    "encode_binary",
    "encode_int8",
    "join_codes",
]

BITS = (1, 8)
ARRAYS = ("packed", "rests", "gains", "offsets", "bounds")
MAX_DIMENSION = 65_536  # 255 * 127 * D must fit the 32 bits in which products are summed


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RowCodes:
    """Codes of ``num_rows`` rows of ``dimension`` values, for one metric; see the module."""

    bits: int
    metric: str
    num_rows: int
    dimension: int
    packed: npt.NDArray[np.uint8]
    rests: npt.NDArray[np.uint8]
    gains: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.float32]
    bounds: npt.NDArray[np.float32]
    # Both planes as kernels take them: uint32 [B, V, 16], four bytes one number.
    words: tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.bits not in BITS:
            raise BadArgument(f"codes must have 1 or 8 bits, got {self.bits}")
        check_metric(self.metric)
        for name, (dtype, shape) in _layout(self).items():
            array = getattr(self, name)
            if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
                raise BadArgument(
                    f"{name} of {self.num_rows} rows of {self.dimension} values in {self.bits} "
                    f"bits must be {dtype} {list(shape)}, row by row, got {array.dtype} "
                    f"{list(array.shape)}; give the arrays as RowCodes.arrays() returned them"
                )
            # One kind of array, so that every kernel is compiled once; and codes are facts.
            array = array.view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        words = self.packed.view(np.uint32)[..., 0], self.rests.view(np.uint32)[..., 0]
        object.__setattr__(self, "words", words)

    def __len__(self) -> int:
        return self.num_rows

    @property
    def num_bytes(self) -> int:
        """Return the memory that the codes and all that belongs to them take."""
        return sum(array.nbytes for array in self.arrays().values())

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays by name, block by block; ``from_arrays`` is the inverse."""
        return {name: getattr(self, name) for name in ARRAYS}

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, npt.NDArray[Any]],
        *,
        bits: int,
        metric: str,
        num_rows: int,
        dimension: int,
    ) -> Self:
        """Return codes over arrays that may be memory-mapped; none is copied."""
        missing = [name for name in ARRAYS if name not in arrays]
        if missing:
            raise BadArgument(f"codes are made of {', '.join(ARRAYS)}; missing: {missing}")
        return cls(
            bits=bits,
            metric=metric,
            num_rows=num_rows,
            dimension=dimension,
            **{name: np.asarray(arrays[name]) for name in ARRAYS},
        )

    def take(self, positions: npt.NDArray[np.int64]) -> Self:
        """Return the codes of the rows at these positions, in their order."""
        position_N = np.asarray(positions, np.int64)
        if position_N.size and not 0 <= position_N.min() <= position_N.max() < self.num_rows:
            raise BadArgument(f"positions must be in [0, {self.num_rows}), got {positions}")
        num_blocks = -(-len(position_N) // LANES)
        # The gap of the last block is filled with copies of a row, and then cleared.
        padded_N = np.zeros(num_blocks * LANES, np.int64)
        padded_N[: len(position_N)] = position_N
        b, lane = (part.reshape(num_blocks, LANES) for part in np.divmod(padded_N, LANES))
        is_padding = (np.arange(len(padded_N)) >= len(position_N)).reshape(num_blocks, LANES)
        taken = {"bounds": np.where(is_padding[..., np.newaxis], 0, self.bounds[b]).max(axis=1)}
        for name in ("packed", "rests"):
            rows = getattr(self, name)[b, :, lane]
            rows[is_padding] = 0
            taken[name] = np.ascontiguousarray(rows.transpose(0, 2, 1, 3))
        for name in ("gains", "offsets"):
            array = getattr(self, name)
            taken[name] = np.zeros((num_blocks, array.shape[1]), np.float32)
            if array.shape[1]:
                taken[name][:] = np.where(is_padding, 0, array[b, lane])
        return replace(self, num_rows=len(position_N), **taken)

    def decode(self, positions: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.float32]:
        """Return approximate rows, all or those at the positions; "cosine" gives their directions.

        A row that held NaN or infinite values decodes to NaN.
        """
        codes = self if positions is None else self.take(positions)
        gain_G = codes.gains.reshape(-1)[: codes.num_rows]
        return codes.centred() * gain_G[:, np.newaxis]

    def centred(self) -> npt.NDArray[np.float32]:
        """Return the rows in steps of their own, u - z of ``compiled/encoders.py``, [G, D]."""
        code_GD = _unpacked(self.packed, min(self.bits, 4))
        if self.bits == 8:
            code_GD = code_GD * np.uint8(16) + _unpacked(self.rests, 4)
        code_GD = code_GD[: self.num_rows, : self.dimension]
        return code_GD - np.float32((2**self.bits - 1) / 2)


def encode_int8(rows: npt.NDArray[Any], *, metric: str = "ip") -> RowCodes:
    """Return 8-bit codes of float32 or float16 rows [G, D]: a quarter of float32's bytes."""
    return _encode(rows, 8, metric)


def encode_binary(rows: npt.NDArray[Any], *, metric: str = "ip") -> RowCodes:
    """Return 1-bit codes, the signs, of float32 or float16 rows [G, D]: 1/32 of the bytes."""
    return _encode(rows, 1, metric)


def join_codes(parts: Sequence[RowCodes]) -> RowCodes:
    """Return the codes of all parts' rows, one part after the other.

    Blocks are copied as they are where every part but the last fills its blocks.
    """
    first = parts[0]
    kinds = {(part.bits, part.metric, part.dimension) for part in parts}
    if len(kinds) > 1:
        raise BadArgument(
            f"joined codes must share bits, metric and dimension, got {sorted(kinds)}; "
            f"encode all rows alike"
        )
    joined = RowCodes.from_arrays(
        {name: np.concatenate([part.arrays()[name] for part in parts]) for name in ARRAYS},
        bits=first.bits,
        metric=first.metric,
        num_rows=sum(len(part.packed) for part in parts) * LANES,
        dimension=first.dimension,
    )
    starts = np.cumsum([0] + [len(part.packed) * LANES for part in parts])
    positions = [start + np.arange(len(part)) for start, part in zip(starts, parts, strict=False)]
    position_N = np.concatenate(positions)
    if np.array_equal(position_N, np.arange(len(position_N))):
        return replace(joined, num_rows=len(position_N))
    return joined.take(position_N)


def _encode(rows: npt.NDArray[Any], bits: int, metric: str) -> RowCodes:
    check_metric(metric)
    row_GD = check_rows("rows", rows)
    num_rows, dimension = row_GD.shape
    if dimension > MAX_DIMENSION:
        raise BadArgument(
            f"rows must have at most {MAX_DIMENSION} dimensions, got {dimension}; "
            f"products of more do not fit 32 bits"
        )
    arrays = {name: _empty(*kind) for name, kind in _layout_of(bits, metric, row_GD.shape).items()}
    step = max(1, (1 << 20) // dimension // LANES) * LANES
    num_numbers = arrays["packed"].shape[1] * 8 // min(bits, 4)
    quad = np.empty((num_numbers, LANES), np.uint32)
    value_D, code_C = np.empty(dimension, np.float32), np.empty(4 * num_numbers, np.uint8)
    for start in range(0, num_rows, step):
        blocks = slice(start // LANES, (start + step) // LANES)
        encode_blocks(
            plain_rows(row_GD[start : start + step]),
            METRIC_NUMBERS[metric],
            bits,
            *(arrays[name][blocks].view(np.uint32)[..., 0] for name in ("packed", "rests")),
            *(arrays[name][blocks] for name in ("gains", "offsets", "bounds")),
            quad,
            value_D,
            code_C,
        )
    return RowCodes.from_arrays(
        arrays, bits=bits, metric=metric, num_rows=num_rows, dimension=dimension
    )


def _unpacked(plane: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.uint8]:
    """Return the codes of a plane row by row, one a byte."""
    shifts = np.arange(0, 8, width, dtype=np.uint8)[:, np.newaxis, np.newaxis]
    parts = plane[:, :, np.newaxis] >> shifts & np.uint8(2**width - 1)
    return parts.transpose(0, 3, 1, 2, 4).reshape(len(plane) * LANES, -1)


def plain_rows(row_ND: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return rows as kernels take them: C order, aligned, read-only, float16 as uint16."""
    if not (row_ND.flags.c_contiguous and row_ND.flags.aligned):
        row_ND = np.require(row_ND, None, ["C", "A"])
    row_ND = row_ND.view(np.uint16) if row_ND.dtype == np.float16 else row_ND.view()
    row_ND.flags.writeable = False
    return row_ND


def _layout(codes: RowCodes) -> dict[str, tuple[npt.DTypeLike, tuple[int, ...]]]:
    return _layout_of(codes.bits, codes.metric, (codes.num_rows, codes.dimension))


def _layout_of(
    bits: int, metric: str, shape: tuple[int, ...]
) -> dict[str, tuple[npt.DTypeLike, tuple[int, ...]]]:
    """Return each array's dtype and shape."""
    num_blocks, num_vectors = -(-shape[0] // LANES), -(-shape[1] // (32 // min(bits, 4)))
    return {
        "packed": (np.uint8, (num_blocks, num_vectors, LANES, 4)),
        "rests": (np.uint8, (num_blocks, num_vectors if bits == 8 else 0, LANES, 4)),
        "gains": (np.float32, (num_blocks, LANES)),
        "offsets": (np.float32, (num_blocks, LANES if metric == "l2" else 0)),
        "bounds": (np.float32, (num_blocks, 2 * num_stages(bits))),
    }


def _empty(dtype: npt.DTypeLike, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return an array that begins on a cache line, so that no vector straddles two."""
    num_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(num_bytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + num_bytes].view(dtype).reshape(shape)
