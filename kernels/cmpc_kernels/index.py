"""Keep a gallery ready to be searched, in memory and as one file.

The rows of an index are stored as they are searched (of unit length under "cosine"), so opening
a file costs no pass of arithmetic: it is memory-mapped, and read once for its checksum. Items may
carry names and labels; the gallery network's sha256 says which space the rows live in, and a
query that names another one is refused. How the file is laid out: ``index_file.py``.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cmpc_kernels._checks import check_labels, check_metric, check_rows
from cmpc_kernels.errors import BadArgument
from cmpc_kernels.index_file import IndexHeader, read_index, write_index
from cmpc_kernels.records import Neighbours
from cmpc_kernels.similarity import compiled_rows, topk, unit_rows

__all__ = ["GalleryIndex"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GalleryIndex:
    """An exact index over gallery embeddings. Make one with ``build`` or ``load``."""

    rows: npt.NDArray[np.float32]
    metric: str
    item_names: tuple[str, ...] | None
    labels: npt.NDArray[np.int64] | None
    network_sha256: str | None

    @classmethod
    def build(
        cls,
        embeddings: npt.NDArray[Any],
        metric: str = "ip",
        *,
        item_names: Sequence[str] | None = None,
        labels: npt.ArrayLike | None = None,
        network_sha256: str | None = None,
    ) -> Self:
        """Index float32 or float16 embeddings [G, D]; ids are their row numbers.

        The rows are copied. NaN and infinite values are refused: such an item is never found.
        """
        check_metric(metric)
        row_GD = check_rows("embeddings", embeddings)
        _check_finite(row_GD)
        row_GD = unit_rows(row_GD) if metric == "cosine" else compiled_rows(row_GD.copy())
        return cls(
            rows=row_GD,
            metric=metric,
            item_names=_check_names(item_names, len(row_GD)),
            labels=None if labels is None else check_labels("labels", labels, len(row_GD)),
            network_sha256=network_sha256,
        )

    def __len__(self) -> int:
        return len(self.rows)

    def search(
        self, queries: npt.NDArray[Any], k: int, *, network_sha256: str | None = None
    ) -> Neighbours:
        """Return the ``k`` nearest items of each query, as ``topk`` does.

        ``network_sha256`` names the gallery network that the queries were made compatible with.
        """
        if network_sha256 is not None and network_sha256 != self.network_sha256:
            raise BadArgument(
                f"queries must live in the space of the index, which is that of network "
                f"{self.network_sha256 or 'unknown'}, got queries for network {network_sha256}; "
                f"search an index built with that gallery network"
            )
        if self.metric == "cosine":
            return topk(unit_rows(queries), self.rows, k, "ip")  # the rows are unit rows already
        return topk(queries, self.rows, k, self.metric)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to one file, whole or not at all."""
        header = IndexHeader(
            metric=self.metric,
            num_items=len(self.rows),
            dimension=self.rows.shape[1],
            item_names=self.item_names,
            labels=None if self.labels is None else tuple(self.labels.tolist()),
            network_sha256=self.network_sha256,
        )
        write_index(Path(path), header, self.rows)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, verify_rows: bool = True) -> Self:
        """Open a saved index; its rows stay on disk and are paged in as they are searched.

        ``verify_rows=False`` skips the checksum of the rows, for galleries larger than memory
        whose file is trusted; the header, the version and the file's length are always checked.
        """
        header, row_GD = read_index(Path(path), verify_rows=verify_rows)
        return cls(
            rows=row_GD,
            metric=header.metric,
            item_names=header.item_names,
            labels=None if header.labels is None else np.array(header.labels, np.int64),
            network_sha256=header.network_sha256,
        )


def _check_finite(row_GD: npt.NDArray[Any]) -> None:
    is_finite_G = np.isfinite(row_GD).all(axis=1)
    if not is_finite_G.all():
        raise BadArgument(
            f"embeddings must be finite, got NaN or infinite values in "
            f"{np.count_nonzero(~is_finite_G)} of {len(row_GD)} rows, first in row "
            f"{np.argmin(is_finite_G)}; embed these items again or leave them out"
        )


def _check_names(names: Sequence[str] | None, num_items: int) -> tuple[str, ...] | None:
    if names is None:
        return None
    if isinstance(names, str) or len(names) != num_items:
        raise BadArgument(
            f"item_names must hold one name for each of the {num_items} items, got {len(names)}"
        )
    return tuple(str(name) for name in names)
