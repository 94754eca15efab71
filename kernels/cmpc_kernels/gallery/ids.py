"""Which id belongs to which row, and which rows may be found.

A position is a row of the stored arrays; an id is what callers hold, and it never changes:

    id        ascending in the order of addition, never given twice; found by bisection
    removal   marks the row; ``ItemTable.take`` drops marked ones: positions move while ids stay

Ids ascend with positions, so "the lower id first" and "the earlier row first" are one rule. As long
as they have no gap they are ``first_id`` + position, and nothing is stored.
"""

import numpy as np
import numpy.typing as npt

from cmpc_kernels.checks import check_unmasked
from cmpc_kernels.errors import BadArgument
from cmpc_kernels.gallery.columns import Array, Columns

__all__ = ["Ids", "check_ids", "check_mask", "check_new_ids"]

NO_ID = -1


class Ids:
    """The ids of ``num_rows`` rows, from ``first_id`` up to ``next_id``, which comes next.

    ``ids`` is int64 [G], ascending, or None for ids without a gap; ``is_removed`` is bool [G].
    """

    def __init__(
        self,
        num_rows: int,
        *,
        first_id: int = 0,
        next_id: int | None = None,
        ids: npt.NDArray[np.int64] | None = None,
        is_removed: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self.num_rows, self.first_id = num_rows, first_id
        self.next_id = first_id + num_rows if next_id is None else next_id
        self._ids = None if ids is None else Columns({"ids": ids})
        has_removed = is_removed is not None and bool(is_removed.any())
        self._is_kept_G = ~is_removed if is_removed is not None and has_removed else None

    def __len__(self) -> int:
        """Count the rows that are not removed."""
        return self.num_rows if self._is_kept_G is None else int(self._is_kept_G.sum())

    @property
    def has_removed(self) -> bool:
        return self._is_kept_G is not None

    def kept_positions(self) -> npt.NDArray[np.int64]:
        """Return the positions of the rows that are not removed."""
        if self._is_kept_G is None:
            return np.arange(self.num_rows)
        return np.flatnonzero(self._is_kept_G)

    def kept_ids(self) -> npt.NDArray[np.int64]:
        """Return the ids of the rows that are not removed, ascending."""
        return self.at(self.kept_positions())

    def bounds(self) -> tuple[int, int] | None:
        """Return the lowest and the highest id, removed ones included; None without rows."""
        if self.num_rows == 0:
            return None
        if self._ids is None:
            return self.first_id, self.first_id + self.num_rows - 1
        return int(self._id_G[0]), int(self._id_G[-1])

    def at(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the ids at positions of any shape; -1 stays -1."""
        if self._ids is None:
            if self.first_id == 0:
                return positions
            return np.where(positions < 0, NO_ID, positions + self.first_id)
        if self.num_rows == 0:
            return np.full(positions.shape, NO_ID)
        return np.where(positions < 0, NO_ID, self._id_G[np.maximum(positions, 0)])

    def positions_of(self, ids: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the positions of ids of any shape; -1 for an id that is not in the index."""
        wanted = check_ids(ids)
        if self.num_rows == 0:
            return np.full(wanted.shape, NO_ID)
        if self._ids is None:
            found = np.asarray(wanted - self.first_id)
            nearest = np.clip(found, 0, self.num_rows - 1)
            is_there = found == nearest
        else:
            nearest = np.minimum(np.searchsorted(self._id_G, wanted), self.num_rows - 1)
            is_there = self._id_G[nearest] == wanted
        if self._is_kept_G is not None:
            is_there = is_there & self._is_kept_G[nearest]
        return np.where(is_there, nearest, NO_ID)

    def append(self, num_new: int, ids: npt.NDArray[np.int64] | None) -> npt.NDArray[np.int64]:
        """Take up the ids of new rows, by default the next ones; return them."""
        if ids is None:
            ids = np.arange(self.next_id, self.next_id + num_new)
        if num_new == 0:
            return ids
        if self.num_rows == 0 and self._ids is None:
            self.first_id = self.next_id = int(ids[0])
        if self._ids is None and (ids[0] != self.next_id or ids[-1] - ids[0] + 1 != num_new):
            self._ids = Columns({"ids": self.first_id + np.arange(self.num_rows)})
        if self._ids is not None:
            self._ids.append({"ids": ids})
        if self._is_kept_G is not None:
            self._is_kept_G = np.concatenate([self._is_kept_G, np.ones(num_new, np.bool_)])
        self.num_rows, self.next_id = self.num_rows + num_new, int(ids[-1]) + 1
        return ids

    def remove(self, ids: npt.ArrayLike) -> None:
        """Mark rows as removed; all ids must be in the index, or nothing changes."""
        positions = self.positions_of(ids)
        if (positions < 0).any():
            missing = np.asarray(ids)[positions < 0]
            raise BadArgument(
                f"every id to remove must be in the index, got {missing.size} that are not, "
                f"first {missing.flat[0]}; ask `index.ids` for those that are"
            )
        if positions.size:
            is_kept_G = np.ones(self.num_rows, np.bool_)
            if self._is_kept_G is not None:
                is_kept_G[:] = self._is_kept_G
            is_kept_G[positions] = False
            self._is_kept_G = is_kept_G

    def mask(self, allow: npt.ArrayLike | None) -> npt.NDArray[np.bool_] | None:
        """Return bool [G], which rows may be found; None if all may.

        ``allow`` is bool [items] in the order of ``kept_ids``, or ids; an id that is not in the
        index allows nothing.
        """
        if allow is None:
            return self._is_kept_G
        given = check_unmasked("allow", allow)
        if given.dtype == np.bool_:
            return self._mask_of_items(check_mask(given, len(self)))
        mask_G = np.zeros(self.num_rows, np.bool_)
        positions = self.positions_of(given)
        mask_G[positions[positions >= 0]] = True
        return mask_G

    def sections(self) -> dict[str, Array]:
        """Return what must be stored, as arrays."""
        sections: dict[str, Array] = {}
        if self._ids is not None:
            sections["ids"] = self._id_G
        if self._is_kept_G is not None:
            sections["is_removed"] = (~self._is_kept_G).view(np.uint8)
        return sections

    @property
    def _id_G(self) -> npt.NDArray[np.int64]:
        assert self._ids is not None
        return self._ids["ids"].view(np.int64)

    def _mask_of_items(self, is_allowed_N: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        if self._is_kept_G is None:
            return np.ascontiguousarray(is_allowed_N)
        mask_G = np.zeros(self.num_rows, np.bool_)
        mask_G[self._is_kept_G] = is_allowed_N
        return mask_G


def check_ids(ids: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return ids of any shape as int64."""
    given = check_unmasked("ids", ids)
    if given.size == 0:
        return np.empty(given.shape, np.int64)
    if given.dtype.kind not in "iu":
        raise BadArgument(
            f"ids must be integers as `search` returns them, got {given.dtype}; "
            f"look names up with `index.ids_of(names)`"
        )
    return given.astype(np.int64)


def check_mask(mask: npt.NDArray[np.bool_], num_items: int) -> npt.NDArray[np.bool_]:
    """Return a mask if it has one value for each item."""
    if mask.shape != (num_items,):
        raise BadArgument(
            f"a mask must have one value for each of the {num_items} items in the order of "
            f"`index.ids`, got the shape {list(mask.shape)}; or give the ids that are allowed"
        )
    return mask


def check_new_ids(ids: npt.ArrayLike, num_items: int) -> npt.NDArray[np.int64]:
    """Return ids for new items as int64 [num_items] if they ascend from 0 or more."""
    id_N = check_ids(ids)
    if id_N.shape != (num_items,) or (np.diff(id_N) <= 0).any() or (id_N[:1] < 0).any():
        raise BadArgument(
            f"ids must be {num_items} integers of at least 0, one for each item, ascending; "
            f"sort the items by their ids"
        )
    return id_N
