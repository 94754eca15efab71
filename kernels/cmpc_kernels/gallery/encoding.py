"""Which arrays an index keeps of its embeddings, and which search reads them.

    exact    rows and 8-bit codes    scanning.search_exact: codes with proven bounds, then the rows
    codes    8- or 1-bit codes       scanning.search_codes: the codes alone

Rows stand one behind the other; codes come in blocks of 16 rows (codes.py), the last one padded.
To append, that last block is packed anew and all before it stay as they are. Rows are kept as they
came; only float16 rows under "cosine" get the length 1 first, where rounding loses least.
"""

import functools
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cmpc_kernels.compiled.intrinsics import LANES as BLOCK_ROWS
from cmpc_kernels.errors import BadArgument
from cmpc_kernels.gallery.chunks import Chunks, EmbeddingSource
from cmpc_kernels.gallery.columns import Array, Columns
from cmpc_kernels.gallery.row_store import RowStore, check_dimension
from cmpc_kernels.gallery.settings import IndexSettings
from cmpc_kernels.nearest.codes import RowCodes, encode_binary, encode_int8, join_codes
from cmpc_kernels.nearest.scanning import search_codes, search_exact
from cmpc_kernels.nearest.similarity import unit_rows
from cmpc_kernels.records import Neighbours

__all__ = ["EncodedRows"]


class EncodedRows(RowStore):
    """The embeddings of an index in the form that its settings ask for; searched by position."""

    def __init__(
        self, settings: IndexSettings, codes: RowCodes, row_GD: npt.NDArray[Any] | None
    ) -> None:
        self.settings, self._blocks = settings, Columns(codes.arrays())
        self._rows = None if row_GD is None else Columns({"rows": row_GD})
        # Views of the columns, read-only as those of a file are: one kind for compiled loops.
        self._codes = self._codes_of(codes.num_rows, codes.dimension)

    @classmethod
    def encode(cls, settings: IndexSettings, row_ND: npt.NDArray[Any]) -> Self:
        """Keep finite rows, float32 or float16 [N, D]."""
        if settings.storage == "float16":
            row_ND = unit_rows(row_ND) if settings.metric == "cosine" else within_half(row_ND)
        if settings.mode == "exact":
            row_ND = row_ND.astype(settings.storage)  # codes bound what is stored, not what came
        return cls._coded(settings, row_ND)

    @classmethod
    def _coded(cls, settings: IndexSettings, row_ND: npt.NDArray[Any]) -> Self:
        """Make the codes of rows that are as they are stored."""
        encoder = encode_binary if settings.code_bits == 1 else encode_int8
        codes = encoder(row_ND, metric=settings.metric)
        return cls(settings, codes, row_ND if settings.mode == "exact" else None)

    @classmethod
    def encode_all(
        cls, settings: IndexSettings, embeddings: EmbeddingSource, dimension: int | None = None
    ) -> "EncodedRows":
        """Encode embeddings; see ``RowStore``."""
        chunks = Chunks.of(embeddings)

        def encode(chunk_ND: npt.NDArray[Any]) -> EncodedRows:
            check_dimension(chunk_ND.shape[1], dimension)
            return cls.encode(settings, chunk_ND)

        return joined(map(encode, chunks), chunks.num_rows or 0)

    def recoded(self) -> "EncodedRows":
        """Return a copy whose codes are made anew of its rows.

        Raises:
            BadArgument: no rows are kept.
        """
        if self.row_GD is None:
            raise BadArgument(
                "an index must keep its rows to have its codes made anew, one in mode codes keeps "
                "nothing else; build it again of its embeddings"
            )
        pieces = (self._coded(self.settings, row_ND) for row_ND in Chunks.of(self.row_GD))
        return joined(pieces, len(self))

    @classmethod
    def from_arrays(
        cls, settings: IndexSettings, arrays: dict[str, Array], num_rows: int, dimension: int
    ) -> Self:
        """Take up the arrays that ``arrays`` returned; nothing is copied.

        Raises:
            BadArgument: these are not the arrays that the settings ask for.
        """
        wanted = {
            name: (dtype, (num_rows if name == "rows" else num_blocks(num_rows), *shape))
            for name, (dtype, shape) in forms_of(settings, dimension).items()
        }
        if {name: (array.dtype, array.shape) for name, array in arrays.items()} != wanted:
            raise BadArgument("its arrays must be those that its settings name")
        codes = {name.removeprefix("codes."): array for name, array in arrays.items()}
        row_GD = codes.pop("rows", None)
        return cls(settings, codes_from(settings, codes, num_rows, dimension), row_GD)

    def __len__(self) -> int:
        return self._codes.num_rows

    @property
    def dimension(self) -> int:
        return self._codes.dimension

    @property
    def row_GD(self) -> npt.NDArray[Any] | None:
        """The rows, float32 or float16 [G, D], or None where only codes are kept."""
        return None if self._rows is None else self._rows["rows"]

    @property
    def codes(self) -> RowCodes:
        """The codes of the rows."""
        return self._codes

    def arrays(self) -> dict[str, Array]:
        """Return all arrays, read-only, to be stored."""
        rows = {} if self._rows is None else self._rows.arrays()
        return rows | {f"codes.{name}": self._blocks[name] for name in self._blocks}

    def reserve(self, num_rows: int) -> None:
        """Make room, so that appending up to ``num_rows`` moves nothing."""
        self._blocks.reserve(num_blocks(num_rows))
        if self._rows is not None:
            self._rows.reserve(num_rows)

    def append(self, other: "EncodedRows") -> None:
        """Put the rows of another behind the last one."""
        full_blocks, rest = divmod(len(self), BLOCK_ROWS)
        new = other._codes
        if rest:
            last = {name: self._blocks[name][full_blocks:] for name in self._blocks}
            new = join_codes([codes_from(self.settings, last, rest, self.dimension), new])
        total = len(self) + len(other)
        self._blocks.truncate(full_blocks)
        self._blocks.append(new.arrays())
        if self._rows is not None and other._rows is not None:
            self._rows.append(other._rows.arrays())
        self._codes = self._codes_of(total, self.dimension)

    def take(self, positions: npt.NDArray[np.int64]) -> "EncodedRows":
        """Return a copy with the rows at these positions."""
        row_GD = None if self.row_GD is None else self.row_GD[positions]
        return EncodedRows(self.settings, self._codes.take(positions), row_GD)

    def search(
        self,
        query_QD: npt.NDArray[Any],
        num_kept: int,
        *,
        allow: npt.NDArray[np.bool_] | None,
        num_threads: int | None,
        floor: npt.NDArray[np.float64] | None = None,
    ) -> Neighbours:
        """Return positions and scores, in float64, of the nearest rows; see ``search_exact``."""
        metric, row_GD = self.settings.metric, self.row_GD
        if row_GD is None:
            return search_codes(
                query_QD,
                self._codes,
                num_kept,
                metric=metric,
                allow=allow,
                num_threads=num_threads,
                in_float64=True,
            )
        return search_exact(
            query_QD,
            row_GD,
            self._codes,
            num_kept,
            metric=metric,
            allow=allow,
            num_threads=num_threads,
            in_float64=True,
            floor=floor,
        )

    def _codes_of(self, num_rows: int, dimension: int) -> RowCodes:
        return codes_from(self.settings, self._blocks.arrays(), num_rows, dimension)


@functools.lru_cache(maxsize=16)
def forms_of(
    settings: IndexSettings, dimension: int
) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
    """Return each array's dtype and the shape of its rows; the shards of a gallery share them."""
    arrays = EncodedRows.encode(settings, np.zeros((0, dimension), np.float32)).arrays()
    return {name: (array.dtype, array.shape[1:]) for name, array in arrays.items()}


def codes_from(
    settings: IndexSettings, arrays: dict[str, Any], num_rows: int, dimension: int
) -> RowCodes:
    """Return codes over arrays by block; nothing is copied."""
    return RowCodes.from_arrays(
        arrays,
        bits=settings.code_bits,
        metric=settings.metric,
        num_rows=num_rows,
        dimension=dimension,
    )


def joined(pieces: Iterator[EncodedRows], num_rows: int) -> EncodedRows:
    """Return one or more pieces as a whole of ``num_rows``, or of any number if that is 0."""
    first = next(pieces)  # chunks end with an error if there is none
    first.reserve(num_rows)
    for piece in pieces:
        first.append(piece)
    return first


def num_blocks(num_rows: int) -> int:
    return -(-num_rows // BLOCK_ROWS)


def within_half(row_ND: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Refuse what float16 would turn into infinity."""
    largest = float(np.abs(row_ND).max(initial=0))
    if largest > np.finfo(np.float16).max:
        raise BadArgument(
            f"embeddings must lie within 65504 to be stored as float16, got {largest:.4g}; "
            f"set storage='float32'"
        )
    return row_ND
