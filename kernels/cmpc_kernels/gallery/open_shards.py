"""What can be asked of shards that are open: what they hold, by id or by name, and what is near."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_kernels.gallery.chunks import EmbeddingSource
from cmpc_kernels.gallery.index import GalleryIndex
from cmpc_kernels.gallery.index_file import StoredAs
from cmpc_kernels.gallery.names import ChainedNames
from cmpc_kernels.gallery.searchable import KeptIndex
from cmpc_kernels.gallery.settings import IndexSettings
from cmpc_kernels.gallery.shard_files import split_filter, with_shards
from cmpc_kernels.gallery.shard_manifest import Manifest
from cmpc_kernels.gallery.shard_search import search_shards
from cmpc_kernels.records import Neighbours

__all__ = ["OpenShards"]


class OpenShards(KeptIndex):
    """The shards of one generation of a gallery."""

    def __init__(self, folder: Path, manifest: Manifest, shards: Sequence[GalleryIndex]) -> None:
        self.folder, self._manifest, self.shards = folder, manifest, tuple(shards)

    def __len__(self) -> int:
        return sum(map(len, self.shards))

    @property
    def settings(self) -> IndexSettings:
        return self._manifest.settings

    @property
    def dimension(self) -> int:
        return self._manifest.dimension

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        """The ids of the items, int64 [items], ascending."""
        return np.concatenate([shard.ids for shard in self.shards])

    @property
    def item_names(self) -> Sequence[str] | None:
        """The names of the items in the order of ``ids``, each decoded when read, or None."""
        names = [shard.item_names for shard in self.shards]
        kept = [part for part in names if part is not None]
        return ChainedNames(kept) if len(kept) == len(names) else None

    @property
    def labels(self) -> npt.NDArray[np.int64] | None:
        """The labels of the items, int64 [items], or None."""
        labels = [shard.labels for shard in self.shards]
        kept = [label_N for label_N in labels if label_N is not None]
        return np.concatenate(kept) if self.has_labels else None

    @property
    def has_labels(self) -> bool:
        """Whether the items have labels."""
        return all(shard.has_labels for shard in self.shards)

    @property
    def stored_files(self) -> tuple[StoredAs, ...]:
        """The files of the shards, as they were when they were opened."""
        return tuple(file for shard in self.shards for file in shard.stored_files)

    def bytes_by_part(self) -> dict[str, int]:
        """Return what rows, codes and the rest take, as ``GalleryIndex.bytes_by_part``."""
        parts = [shard.bytes_by_part() for shard in self.shards]
        return {name: sum(part[name] for part in parts) for name in parts[0]}

    def contains(self, ids: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Say of each id, of any shape, whether an item has it."""
        found: npt.NDArray[np.bool_] = np.any(
            [shard.contains(ids) for shard in self.shards], axis=0
        )
        return found

    def names_of(self, ids: npt.ArrayLike) -> list[str]:
        """Return the names of items by their ids [N]; an unknown id is an error."""
        return [shard.names_of([item])[0] for shard, item in with_shards(self.shards, ids)]

    def labels_of(self, ids: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the labels of items by their ids [N]; an unknown id is an error."""
        pairs = with_shards(self.shards, ids)
        return np.array([shard.labels_of(item) for shard, item in pairs], np.int64)

    def ids_of(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the ids of all items with one of these names; a name of no item adds none."""
        return np.concatenate([shard.ids_of(names) for shard in self.shards])

    def search_unrounded(
        self,
        query_QD: npt.NDArray[Any],
        num_kept: int,
        *,
        allow: npt.ArrayLike | None,
        num_threads: int | None,
    ) -> Neighbours:
        """Return what an index over all shards would, with scores in float64."""
        allowed = split_filter(self.shards, allow)
        return search_shards(self.shards, query_QD, num_kept, allowed, num_threads)

    def stored_embeddings(self) -> EmbeddingSource | None:
        """Return the rows of all shards, one shard after the other."""
        rows = [shard.rows for shard in self.shards]
        kept = [row_GD for row_GD in rows if row_GD is not None]
        return kept or None
