"""Keep a gallery ready to be searched, in memory and as one file.

    embeddings --> encoding.py    rows and codes, by position --+
    names, ids --> items.py       what each position is        +--> search, stored_index.py: save
    settings.py                   what was asked for          --+

An id belongs to one item for ever: ``remove`` and ``compact`` change no other id, ``add`` never
gives one twice. A loaded index is memory-mapped: opening copies nothing, and the first ``add``
copies it into memory. Several threads may search at once while nobody changes the index.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cmpc_kernels.errors import BadArgument
from cmpc_kernels.gallery.chunks import EmbeddingSource
from cmpc_kernels.gallery.ids import Ids, check_new_ids
from cmpc_kernels.gallery.items import ItemTable
from cmpc_kernels.gallery.row_store import RowStore, check_dimension
from cmpc_kernels.gallery.row_stores import store_of
from cmpc_kernels.gallery.settings import IndexSettings
from cmpc_kernels.gallery.stored_index import StoredIndex
from cmpc_kernels.nearest.codes import RowCodes
from cmpc_kernels.records import Neighbours

__all__ = ["GalleryIndex"]


class GalleryIndex(StoredIndex):
    """An index over gallery embeddings. Make one with ``build`` or ``load``."""

    @classmethod
    def build(
        cls,
        embeddings: EmbeddingSource,
        metric: str = "ip",
        *,
        mode: str = "exact",
        storage: str | None = None,
        item_names: Sequence[str] | None = None,
        labels: npt.ArrayLike | None = None,
        network_sha256: str | None = None,
        unit_queries: bool = False,
    ) -> Self:
        """Index embeddings; ids are their row numbers.

        The rows are copied a piece at a time: some megabytes beyond the index itself, and twice the
        index for a stream of unknown length. Larger than memory: see ``ShardedIndex.build``.

        Args:
            embeddings: float32 or float16 [G, D], the path of a .npy file, or an iterable of such
                arrays. NaN and infinite values are refused: such an item is never found.
            metric: "ip", "cosine" or "l2" (squared distance, smaller is nearer).
            mode: "exact", "codes" to keep the codes alone, or "ivf" or "hnsw", which FAISS
                serves.
            storage: "float32" (default) or "float16"; in mode "codes" "int8" (default) or "binary".
            item_names: One name for each row; a name may come twice.
            labels: Integers, one for each row.
            network_sha256: The gallery network that made the embeddings.
            unit_queries: Refuse queries that are not of length 1.
        """
        settings = IndexSettings(
            metric=metric,
            mode=mode,
            storage=storage,
            network_sha256=network_sha256,
            unit_queries=unit_queries,
        )
        return cls.build_with(settings, embeddings, item_names=item_names, labels=labels)

    @classmethod
    def build_with(
        cls,
        settings: IndexSettings,
        embeddings: EmbeddingSource,
        *,
        item_names: Sequence[str] | None = None,
        labels: npt.ArrayLike | None = None,
        ids: npt.ArrayLike | None = None,
        first_id: int = 0,
    ) -> Self:
        """Index embeddings with given settings; ids count from ``first_id`` or are given.

        ``ids`` are integers [G] of at least 0, ascending, gaps allowed.
        """
        rows = store_of(settings).encode_all(settings, embeddings)
        items = ItemTable(Ids(0, first_id=first_id))
        given = None if ids is None else check_new_ids(ids, len(rows))
        items.append(len(rows), *items.check_new(len(rows), item_names, labels), ids=given)
        return cls(rows, items)

    def __len__(self) -> int:
        return len(self._items.ids)

    @property
    def settings(self) -> IndexSettings:
        return self._rows.settings

    @property
    def dimension(self) -> int:
        return self._rows.dimension

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        """The ids of the items, int64 [items], ascending; names and labels come in this order."""
        return self._items.ids.kept_ids()

    @property
    def has_removed(self) -> bool:
        """Whether it still holds rows of items that were removed; see ``compact``."""
        return self._items.ids.has_removed

    @property
    def id_bounds(self) -> tuple[int, int] | None:
        """The lowest and the highest id of all that is stored, or None where nothing is."""
        return self._items.ids.bounds()

    @property
    def num_removed(self) -> int:
        """How many removed items still have a place, until ``compact``."""
        return self._items.ids.num_rows - len(self)

    @property
    def rows(self) -> npt.NDArray[Any] | None:
        """Embeddings as stored, float32 or float16 [items, D]; None in mode "codes".

        float16 rows have length 1 under "cosine". After ``remove`` this is a copy, until
        ``compact``.
        """
        row_GD = self._rows.row_GD
        if row_GD is None or not self._items.ids.has_removed:
            return row_GD
        return row_GD[self._items.ids.kept_positions()]

    @property
    def codes(self) -> RowCodes | None:
        """Codes of the items, a copy where ``rows`` are one; None where FAISS searches."""
        codes = self._rows.codes
        if codes is None or not self._items.ids.has_removed:
            return codes
        return codes.take(self._items.ids.kept_positions())

    @property
    def item_names(self) -> Sequence[str] | None:
        """The names of the items, each decoded when it is read, or None."""
        return self._items.names

    @property
    def labels(self) -> npt.NDArray[np.int64] | None:
        """The labels of the items, int64 [items], or None."""
        return self._items.labels

    @property
    def has_labels(self) -> bool:
        """Whether the items have labels."""
        return self.labels is not None

    def bytes_by_part(self) -> dict[str, int]:
        """Return what the index takes in memory or on disk: "rows", "codes", "items", "names"."""
        sizes = dict.fromkeys(("rows", "codes", "items", "names"), 0)
        for name, array in (self._rows.arrays() | self._items.sections()).items():
            part = next((part for part in sizes if name.startswith(part.rstrip("s"))), "items")
            sizes[part] += array.nbytes
        return sizes

    def contains(self, ids: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Say of each id, of any shape, whether an item has it."""
        return self._items.ids.positions_of(ids) >= 0

    def names_of(self, ids: npt.ArrayLike) -> list[str]:
        """Return the names of items by their ids [N]; an unknown id, -1 too, is an error."""
        return self._items.names_of(ids)

    def labels_of(self, ids: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the labels of items by their ids, of any shape; an unknown id is an error."""
        return self._items.labels_of(ids)

    def ids_of(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the ids of all items with one of these names; a name of no item adds none."""
        return self._items.ids_of(names)

    def search_unrounded(
        self,
        query_QD: npt.NDArray[Any],
        num_kept: int,
        *,
        allow: npt.ArrayLike | None,
        num_threads: int | None,
        floor: npt.NDArray[np.float64] | None = None,
    ) -> Neighbours:
        """Return what ``search`` does for queries that are checked, with scores in float64.

        ``floor`` is float64 [Q], scores as returned: items that are worse need not be found.
        """
        mask_G = self._items.ids.mask(allow)
        found = self._rows.search(
            query_QD, num_kept, allow=mask_G, num_threads=num_threads, floor=floor
        )
        return Neighbours(scores=found.scores, ids=self._items.ids.at(found.ids))

    def stored_embeddings(self) -> EmbeddingSource | None:
        """Return ``rows``."""
        return self.rows

    def add(
        self,
        embeddings: EmbeddingSource,
        *,
        item_names: Sequence[str] | None = None,
        labels: npt.ArrayLike | None = None,
    ) -> npt.NDArray[np.int64]:
        """Add items, all or none; return their ids, int64 [N]."""
        new = type(self._rows).encode_all(self.settings, embeddings, self.dimension)
        fitting = self._items.check_new(len(new), item_names, labels)
        self._rows.append(new)
        return self._items.append(len(new), *fitting)

    def remove(self, ids: npt.ArrayLike) -> None:
        """Remove items by their ids, all or none; ``compact`` gives their place back.

        An id that is named twice counts once.
        """
        self._items.ids.remove(ids)

    def compact(self) -> None:
        """Give back the place of removed items; every other id stays."""
        if self._items.ids.has_removed:
            kept = self._items.ids.kept_positions()
            self._rows, self._items = self._rows.take(kept), self._items.take(kept)

    def without(self, ids: npt.ArrayLike) -> "GalleryIndex":
        """Return a compact index without some items, whose ids stay; this one stays as it is."""
        known = self._items.ids
        kept = np.setdiff1d(known.kept_positions(), known.positions_of(ids))
        return GalleryIndex(self._rows.take(kept), self._items.take(kept))

    def recode(self) -> None:
        """Make the codes anew of the rows, which stay as they are to the bit.

        That mends an index which a faulty version wrote; ``stored_files`` tell the version.

        Raises:
            BadArgument: it keeps codes only, and no rows.
        """
        self._rows = self._rows.recoded()

    def reserve(self, num_rows: int) -> None:
        """Make room, so that adding or merging up to ``num_rows`` moves no embedding."""
        self._rows.reserve(num_rows)

    def merge(self, other: "GalleryIndex", *, keep_ids: bool = False) -> npt.NDArray[np.int64]:
        """Add all items of another index with equal settings; return their ids, int64 [N].

        These are the next ones or, with ``keep_ids``, what they are in the other index: all higher
        than those here.
        """
        if other.settings != self.settings:
            raise BadArgument(
                f"indexes must have the same settings to be merged, got {self.settings} and "
                f"{other.settings}; build one of them again"
            )
        check_dimension(other.dimension, self.dimension)
        ids = other.ids if keep_ids else None
        if ids is not None and len(ids) and self.id_bounds and ids[0] <= self.id_bounds[1]:
            raise BadArgument(
                f"ids must be higher than {self.id_bounds[1]} to be kept, got {ids[0]}; merge in "
                f"the order of ids, or let the items have new ones"
            )
        fitting = self._items.check_new(len(other), other.item_names, other.labels)
        self._rows.append(other._compacted())
        return self._items.append(len(other), *fitting, ids=ids)

    def _compacted(self) -> RowStore:
        if not self._items.ids.has_removed:
            return self._rows
        return self._rows.take(self._items.ids.kept_positions())
