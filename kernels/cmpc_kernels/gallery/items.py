"""What an index knows of its items beside their embeddings: ids, names and labels."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cmpc_kernels.checks import check_labels
from cmpc_kernels.errors import BadArgument
from cmpc_kernels.gallery.columns import Array, Columns
from cmpc_kernels.gallery.ids import Ids
from cmpc_kernels.gallery.names import Names, check_names

__all__ = ["ItemTable", "refuse_half"]


class ItemTable:
    """Ids, and names and labels of all items or of none; ``labels`` are int64 [G]."""

    def __init__(
        self,
        ids: Ids,
        *,
        names: Names | None = None,
        labels: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self.ids, self._names = ids, names
        self._labels = None if labels is None else Columns({"labels": labels})

    @property
    def names(self) -> Names | None:
        """The names of the rows that are not removed."""
        if self._names is None or not self.ids.has_removed:
            return self._names
        return self._names.take(self.ids.kept_positions())

    @property
    def labels(self) -> npt.NDArray[np.int64] | None:
        """The labels of the rows that are not removed, int64 [items]."""
        if self._label_G is None or not self.ids.has_removed:
            return self._label_G
        return self._label_G[self.ids.kept_positions()]

    def check_new(
        self, num_new: int, names: Sequence[str] | None, labels: npt.ArrayLike | None
    ) -> tuple[Names | None, npt.NDArray[np.int64] | None]:
        """Return names and labels of new rows if they fit those of the rows that are here."""
        if self.ids.num_rows or self._names is not None or self._labels is not None:
            refuse_half("item_names", has=self._names is not None, comes=names is not None)
            refuse_half("labels", has=self._labels is not None, comes=labels is not None)
        label_N = None if labels is None else check_labels("labels", labels, num_new)
        return check_names(names, num_new), label_N

    def append(
        self,
        num_new: int,
        names: Names | None,
        labels: npt.NDArray[np.int64] | None,
        *,
        ids: npt.NDArray[np.int64] | None = None,
    ) -> npt.NDArray[np.int64]:
        """Add rows that ``check_new`` checked; return their ids, by default the next free ones."""
        if names is not None:
            self._names = Names.of(()) if self._names is None else self._names
            self._names.extend(names)
        if labels is not None:
            self._labels = self._labels or Columns({"labels": np.empty(0, np.int64)})
            self._labels.append({"labels": labels})
        return self.ids.append(num_new, ids)

    def take(self, positions: npt.NDArray[np.int64]) -> "ItemTable":
        """Return a copy of the rows at these ascending positions; each keeps its id."""
        known = self.ids
        return ItemTable(
            Ids(
                len(positions),
                first_id=known.first_id,
                next_id=known.next_id,
                ids=known.at(positions),
            ),
            names=None if self._names is None else self._names.take(positions),
            labels=None if self._label_G is None else self._label_G[positions],
        )

    def names_of(self, ids: npt.ArrayLike) -> list[str]:
        """Return the names of items by their ids [N]."""
        if self._names is None:
            raise BadArgument("the items of this index have no names; go by their ids")
        return [self._names[int(position)] for position in self._positions(ids)]

    def labels_of(self, ids: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the labels of items by their ids, of any shape."""
        if self._label_G is None:
            raise BadArgument("the items of this index have no labels")
        return self._label_G[self._positions(ids)]

    def ids_of(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the ids of all items that have one of these names, ascending.

        A name that no item has adds nothing.
        """
        if self._names is None:
            raise BadArgument("the items of this index have no names; go by their ids")
        positions = self._names.positions_of(names)
        return self.ids.at(np.intersect1d(positions, self.ids.kept_positions()))

    def sections(self) -> dict[str, Array]:
        """Return all that must be stored, as arrays."""
        sections = self.ids.sections()
        if self._label_G is not None:
            sections["labels"] = self._label_G
        if self._names is not None:
            sections["name_ends"], sections["name_text"] = self._names.end_G, self._names.text_T
        return sections

    @property
    def _label_G(self) -> npt.NDArray[np.int64] | None:
        return None if self._labels is None else self._labels["labels"].view(np.int64)

    def _positions(self, ids: npt.ArrayLike) -> npt.NDArray[np.int64]:
        positions = self.ids.positions_of(ids)
        if (positions < 0).any():
            raise BadArgument(
                f"every id must be in the index, got "
                f"{np.asarray(ids)[positions < 0].flat[0]}; a slot without a neighbour has the "
                f"id -1: leave it out"
            )
        return positions


def refuse_half(what: str, *, has: bool, comes: bool) -> None:
    """Refuse rows with a name or label beside rows without."""
    if has and not comes:
        raise BadArgument(f"the items of this index have {what}; give {what} for new ones too")
    if comes and not has:
        raise BadArgument(f"the items of this index have no {what}; add new ones without")
