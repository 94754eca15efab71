"""One gallery in several index files: larger than memory, or grown a file at a time.

    folder/manifest-42.json                 which shards there are (shard_manifest.py)
    folder/shard-4f2a90c17d03b2ee.index     items with the lowest ids
    folder/shard-93bc07d2a1f6485c.index     ...

The answer is that of one index over everything (open_shards.py, shard_search.py). Each shard is
memory-mapped, and holds higher ids than those before it, so ties fall to the lower id. Whoever
opens the folder finds the gallery before a change or after it, and a change that was made of an
older one is refused (shard_changes.py).
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from cmpc_base.files import make_folder
from cmpc_kernels.checks import check_count
from cmpc_kernels.errors import BadArgument, BadIndexFile, IndexChanged
from cmpc_kernels.gallery.chunks import EmbeddingSource
from cmpc_kernels.gallery.ids import check_ids
from cmpc_kernels.gallery.index import GalleryIndex
from cmpc_kernels.gallery.index_file import Verify
from cmpc_kernels.gallery.items import refuse_half
from cmpc_kernels.gallery.open_shards import OpenShards
from cmpc_kernels.gallery.settings import IndexSettings
from cmpc_kernels.gallery.shard_changes import ShardChange, changing_shards, is_unfinished
from cmpc_kernels.gallery.shard_files import open_shard, open_shards
from cmpc_kernels.gallery.shard_manifest import Manifest, ShardFile, newest_generation
from cmpc_kernels.gallery.shard_writing import NewItems, grouped, joined, write_shards

__all__ = ["ShardedIndex", "open_index"]

ROWS_PER_SHARD = 1_000_000
MAX_OPENINGS = 100  # of a folder that is changed twice while it is opened, each time


class ShardedIndex(OpenShards):
    """A gallery in a folder of index files. Make one with ``build`` or ``open``."""

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
        new = NewItems(embeddings=embeddings, names=item_names, labels=labels)
        with changing_shards(path, None) as change:
            written = write_shards(change, blank, new)
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

    def add(
        self,
        embeddings: EmbeddingSource,
        *,
        item_names: Sequence[str] | None = None,
        labels: npt.ArrayLike | None = None,
    ) -> npt.NDArray[np.int64]:
        """Add items, all or none; return their ids, int64 [N].

        They fill the last shard, which is written anew up to ``rows_per_shard``, then further ones.

        Raises:
            IndexChanged: somebody else changed the folder since it was opened; theirs stays.
        """
        if len(self):
            refuse_half("item_names", has=self.item_names is not None, comes=item_names is not None)
            refuse_half("labels", has=self.has_labels, comes=labels is not None)
        first_id, last = self._manifest.next_id, self._manifest.shards[-1]
        new = NewItems(embeddings=embeddings, names=item_names, labels=labels)
        with changing_shards(self.folder, self._manifest) as change:
            has_room = len(self.shards[-1]) < self._manifest.rows_per_shard
            unfilled = self._verified(last) if has_room else None
            self._commit(change, write_shards(change, self._manifest, new, unfilled))
        return np.arange(first_id, self._manifest.next_id)

    def remove(self, ids: npt.ArrayLike) -> None:
        """Remove items by their ids, all or none; the shards that hold them are written anew.

        An id that is named twice counts once.

        Raises:
            IndexChanged: somebody else changed the folder since it was opened; theirs stays.
        """
        wanted = np.unique(check_ids(ids))
        parts = [wanted[shard.contains(wanted)] for shard in self.shards]
        missing = np.setdiff1d(wanted, np.concatenate(parts))
        if missing.size:
            raise BadArgument(
                f"every id to remove must be in the gallery, got {missing.size} that are not, "
                f"first {missing[0]}"
            )
        if not len(wanted):
            return
        with changing_shards(self.folder, self._manifest) as change:
            files = [
                change.save(self._verified(file).without(part)) if len(part) else file
                for file, part in zip(self._manifest.shards, parts, strict=True)
            ]
            self._commit(change, replace(self._manifest, shards=tuple(files)))

    def compact(self, rows_per_shard: int | None = None) -> None:
        """Join neighbouring shards that fit into one, and drop what was removed; ids stay.

        Any two neighbours then hold more items together than a shard may. What was joined stays on
        the disk until the change after this one, for those who open the folder meanwhile.

        Args:
            rows_per_shard: How large shards may be from now on; larger ones stay as they are.

        Raises:
            IndexChanged: somebody else changed the folder since it was opened; theirs stays.
        """
        before = after = self._manifest
        if rows_per_shard is not None:
            after = replace(before, rows_per_shard=check_count(rows_per_shard))
        pairs = list(zip(before.shards, self.shards, strict=True))
        kept = [pair for pair in pairs if len(pair[1])] or pairs[:1]
        with changing_shards(self.folder, before) as change:
            files = [self._joined(change, group) for group in grouped(kept, after.rows_per_shard)]
            self._commit(change, replace(after, shards=tuple(files)))

    def recode(self) -> None:
        """Write all shards anew with codes made of their rows; see ``GalleryIndex.recode``.

        Raises:
            BadArgument: they keep codes only, and no rows.
            IndexChanged: somebody else changed the folder since it was opened; theirs stays.
        """
        with changing_shards(self.folder, self._manifest) as change:
            files = []
            for file in self._manifest.shards:
                shard = self._verified(file)
                shard.recode()
                shard.compact()
                files.append(change.save(shard))
            self._commit(change, replace(self._manifest, shards=tuple(files)))

    def _joined(
        self, change: ShardChange, group: Sequence[tuple[ShardFile, GalleryIndex]]
    ) -> ShardFile:
        """Write neighbours as one shard, unless there is nothing to join or to drop."""
        (file, shard), *others = group
        if not others and not shard.has_removed:
            return file
        return change.save(joined([self._verified(file) for file, _ in group]))

    def _verified(self, file: ShardFile) -> GalleryIndex:
        """Open a shard to write it anew."""
        return open_shard(self.folder, file, self._manifest, verify=True)

    def _commit(self, change: ShardChange, manifest: Manifest) -> None:
        """Open what is new in a manifest, make it the folder's, and be that gallery.

        One that is what it was makes no generation.
        """
        if manifest == self._manifest:
            return
        known = dict(zip(self._manifest.shards, self.shards, strict=True))
        shards = tuple(
            known[file] if file in known else open_shard(self.folder, file, manifest, verify=False)
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
