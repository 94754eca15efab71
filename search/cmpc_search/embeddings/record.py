"""Embeddings with what is needed to make sense of them later, and their rows by name."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from unicodedata import normalize

import numpy as np
import numpy.typing as npt

from cmpc_search.errors import BadEmbeddings

__all__ = ["Embeddings"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Embeddings:
    """Rows of float32 [N, D], with their names, labels and network as far as they are known."""

    rows: npt.NDArray[np.float32]
    item_names: tuple[str, ...] | None = None
    labels: npt.NDArray[np.int64] | None = None
    network_sha256: str | None = None
    data_sha256: str | None = None
    """Hash of the data set that was embedded, where it was one."""
    views_per_item: int = 1
    """Of how many views of a gallery item its row is the mean; those of queries are of one."""

    def named(self, names: Sequence[str]) -> "Embeddings":
        """Return the rows of these items, in this order; `lacking` tells which names fit.

        Raises:
            BadEmbeddings: an item has no row.
        """
        if missing := self.lacking(names):
            raise BadEmbeddings(
                f"the embeddings must have a row for each of {len(names)} items, {len(missing)} "
                f"have none, the first is {missing[0]!r}; embed them with `cmpc gallery embed`"
            )
        chosen = [row for row in self._rows_of(names) if row is not None]
        return replace(
            self,
            rows=self.rows[chosen],
            item_names=tuple(names),
            labels=None if self.labels is None else self.labels[chosen],
        )

    def lacking(self, names: Sequence[str]) -> list[str]:
        """Return those of these items that have no row.

        Where no name is equal to the byte, one that shows the same letters serves: file systems
        and databases write accents in two ways.
        """
        found = zip(names, self._rows_of(names), strict=True)
        return [name for name, row in found if row is None]

    def _rows_of(self, names: Sequence[str]) -> list[int | None]:
        rows = list(enumerate(self.item_names or ()))
        position = {normalize("NFC", name): row for row, name in rows}
        position |= {name: row for row, name in rows}
        return [position.get(name, position.get(normalize("NFC", name))) for name in names]
