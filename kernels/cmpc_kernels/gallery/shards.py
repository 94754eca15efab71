"""One gallery in several index files: larger than memory, or grown a file at a time.

    folder/manifest-42.json                 which shards there are (shard_manifest.py)
    folder/shard-4f2a90c17d03b2ee.index     items with the lowest ids
    folder/shard-93bc07d2a1f6485c.index     ...

The answer is that of one index over everything (shard_search.py). Each shard is memory-mapped, and
holds higher ids than those before it, so ties fall to the lower id. Whoever opens the folder finds
the gallery before a change or after it, and a change that was made of an older one is refused
(shard_changes.py).
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cmpc_base.files import make_folder
from cmpc_kernels.checks import check_count
from cmpc_kernels.errors import BadArgument, BadIndexFile, IndexChanged
from cmpc_kernels.gallery.chunks import EmbeddingSource
from cmpc_kernels.gallery.ids import check_ids
from cmpc_kernels.gallery.index import GalleryIndex
from cmpc_kernels.gallery.index_file import StoredAs, Verify
from cmpc_kernels.gallery.items import refuse_half
from cmpc_kernels.gallery.names import ChainedNames
from cmpc_kernels.gallery.searchable import KeptIndex
from cmpc_kernels.gallery.settings import IndexSettings
from cmpc_kernels.gallery.shard_changes import ShardChange, changing_shards, is_unfinished
from cmpc_kernels.gallery.shard_files import (
    open_shard,
    open_shards,
    split_filter,
    with_shards,
    write_shards,
)
from cmpc_kernels.gallery.shard_manifest import Manifest, newest_generation
from cmpc_kernels.gallery.shard_search import search_shards
from cmpc_kernels.records import Neighbours

__all__ = ["ShardedIndex", "open_index"]

ROWS_PER_SHARD = 1_000_000
MAX_OPENINGS = 100  # of a folder that is changed twice while it is opened, each time


class ShardedIndex(KeptIndex):
    """A gallery in a folder of index files. Make one with ``build`` or ``open``."""

    def __init__(self, folder: Path, manifest: Manifest, shards: Sequence[GalleryIndex]) -> None:
        self.folder, self._manifest, self.shards = folder, manifest, tuple(shards)

    @classmethod
    def build(
        cls,
        folder: str | os.PathLike[str],
        embeddings: EmbeddingSource,
        settings: IndexSettings | None = None,
        *,
        rows_per_shard: int = ROWS_PER_SHARD,
        item_names: Sequence[str] | None = None,
        labels: npt.ArrayLike | None = None,
    ) -> Self:
        """Write embeddings as shards of at most ``rows_per_shard`` items; ids are row numbers.

        Never more than one shard is in memory; embeddings may be a stream. The folder must hold no
        gallery yet. See ``GalleryIndex.build`` for what embeddings and settings may be.

        Raises:
            IndexChanged: somebody else built one there meanwhile.
        """
        path, chosen = Path(folder), settings or IndexSettings()
        if cls.is_in(path):
            raise BadArgument(f"{path} must hold no gallery yet; choose another or remove it")
        make_folder(path)
        blank = Manifest(
            settings=chosen,
            dimension=0,
            rows_per_shard=check_count(rows_per_shard),
            next_id=0,
            shards=(),
        )
        with changing_shards(path, None) as change:
            written = write_shards(change, blank, embeddings, item_names, labels)
            shards = open_shards(path, written, verify=False)
            return cls(path, change.commit(written), shards)

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, verify: Verify = True) -> Self:
        """Open a folder that ``build`` wrote; ``verify`` as in ``GalleryIndex.load``.

        Raises:
            BadIndexFile: a file is missing, altered, or not the one that the manifest names.
            IndexChanged: others change it faster than it can be opened.
        """
        path = Path(folder)
        for _ in range(MAX_OPENINGS):
            generation = newest_generation(path)
            try:
                manifest = Manifest.read(path, generation)
                return cls(path, manifest, open_shards(path, manifest, verify=verify))
            except BadIndexFile:
                if newest_generation(path) == generation:
                    raise
        raise IndexChanged(
            f"{path} must stay as it is while it is opened, and was changed {MAX_OPENINGS} times "
            f"meanwhile; try again when those who change it have finished"
        )

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Say whether a folder holds the shards of a gallery."""
        return newest_generation(folder) is not None

    @staticmethod
    def is_unfinished_in(folder: Path) -> bool:
        """Say whether a folder holds nothing but what a build left that was killed."""
        return is_unfinished(folder)

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
        return np.concatenate(kept) if len(kept) == len(labels) else None

    @property
    def stored_files(self) -> tuple[StoredAs, ...]:
        """The files of the shards, as they were when they were opened."""
        return tuple(file for shard in self.shards for file in shard.stored_files)

    def bytes_by_part(self) -> dict[str, int]:
        """Return what rows, codes and the rest take, as ``GalleryIndex.bytes_by_part``."""
        parts = [shard.bytes_by_part() for shard in self.shards]
        return {name: sum(part[name] for part in parts) for name in parts[0]}

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

    def add(
        self,
        embeddings: EmbeddingSource,
        *,
        item_names: Sequence[str] | None = None,
        labels: npt.ArrayLike | None = None,
    ) -> npt.NDArray[np.int64]:
        """Write items as further shards, all or none; return their ids, int64 [N].

        Raises:
            IndexChanged: somebody else changed the folder since it was opened; theirs stays.
        """
        if len(self):
            refuse_half("item_names", has=self.item_names is not None, comes=item_names is not None)
            refuse_half("labels", has=self.labels is not None, comes=labels is not None)
        first_id = self._manifest.next_id
        with changing_shards(self.folder, self._manifest) as change:
            written = write_shards(change, self._manifest, embeddings, item_names, labels)
            self._commit(change, written)
        return np.arange(first_id, self._manifest.next_id)

    def remove(self, ids: npt.ArrayLike) -> None:
        """Remove items by their ids, all or none; the shards that hold them are written anew.

        An id that is named twice counts once.

        Raises:
            IndexChanged: somebody else changed the folder since it was opened; theirs stays.
        """
        wanted = np.unique(check_ids(ids))
        parts = [wanted[np.isin(wanted, shard.ids)] for shard in self.shards]
        if sum(map(len, parts)) < len(wanted):
            missing = np.setdiff1d(wanted, np.concatenate(parts))
            raise BadArgument(
                f"every id to remove must be in the gallery, got {missing.size} that are not, "
                f"first {missing[0]}"
            )
        if not len(wanted):
            return
        with changing_shards(self.folder, self._manifest) as change:
            files = [
                change.save(shard.without(part)) if len(part) else file
                for file, shard, part in zip(self._manifest.shards, self.shards, parts, strict=True)
            ]
            self._commit(change, replace(self._manifest, shards=tuple(files)))

    def recode(self) -> None:
        """Write all shards anew with codes made of their rows; see ``GalleryIndex.recode``.

        Raises:
            BadArgument: they keep codes only, and no rows.
            IndexChanged: somebody else changed the folder since it was opened; theirs stays.
        """
        with changing_shards(self.folder, self._manifest) as change:
            files = []
            for shard in self.shards:
                copy = shard.without([])
                copy.recode()
                files.append(change.save(copy))
            self._commit(change, replace(self._manifest, shards=tuple(files)))

    def _commit(self, change: ShardChange, manifest: Manifest) -> None:
        """Open what is new in a manifest, make it the folder's, and be that gallery."""
        known = dict(zip(self._manifest.shards, self.shards, strict=True))
        shards = tuple(
            known[file] if file in known else open_shard(self.folder, file, manifest)
            for file in manifest.shards
        )
        self._manifest, self.shards = change.commit(manifest), shards


def open_index(
    path: str | os.PathLike[str], *, verify: Verify = True
) -> GalleryIndex | ShardedIndex:
    """Open an index file, or a folder of shards; both are searched alike."""
    if Path(path).is_dir():
        return ShardedIndex.open(path, verify=verify)
    return GalleryIndex.load(path, verify=verify)
