"""Change a folder of shards so that nobody loses anything: neither readers, nor another writer.

    1  shards of the new generation are written under names of their own
    2  what no manifest names is listed: killed writers left it
    3  the manifest of the next generation is created, if nobody else has done so
    4  what was listed goes, with the shards that were replaced one generation ago

A reader that has read a manifest thus finds its files for one more generation, and after that the
next manifest. Step 4 hurts no writer that is at work, on whatever machine: what it had written by
step 2 belongs to a change of a generation that is the last no more, which fails in step 3. Each
step is on the disk before the next begins.
"""

import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from cmpc_base.files import made_for
from cmpc_kernels.errors import BadIndexFile, IndexChanged
from cmpc_kernels.gallery.index import GalleryIndex
from cmpc_kernels.gallery.shard_manifest import (
    Manifest,
    ShardFile,
    generation_of,
    manifest_name,
    newest_generation,
)
from cmpc_kernels.locks import FOLDER_LOCK, index_lock

__all__ = ["ShardChange", "changing_shards", "is_unfinished"]

NUM_KEPT = 2  # manifests
MAX_READINGS = 100  # of a manifest that is replaced meanwhile, each time
NUM_COMMITS = 100  # that a manifest names: who slept for more may be told that its change failed
SHARD = re.compile(r"shard-(?:[0-9a-f]{8}){1,2}\.index")


class ShardChange:
    """One change of a folder: some shards are saved, then one manifest is committed."""

    def __init__(self, folder: Path, before: Manifest | None) -> None:
        self._folder, self._before = folder, before
        self._saved: set[str] = set()

    def save(self, shard: GalleryIndex) -> ShardFile:
        """Write a shard under a name that no other has."""
        name = f"shard-{secrets.token_hex(8)}.index"
        self._saved.add(name)
        return ShardFile(file=name, header_sha256=shard.write(self._folder / name))

    def commit(self, manifest: Manifest) -> Manifest:
        """Make this the manifest of the next generation; return it with its number.

        Raises:
            IndexChanged: another writer made the next generation.
        """
        before = self._before
        manifest = replace(
            manifest,
            generation=1 if before is None else before.generation + 1,
            commits=(secrets.token_hex(8), *(before.commits if before else ()))[:NUM_COMMITS],
        )
        left_over = self._left_over(manifest)
        self.check_is_next()
        try:
            manifest.create(self._folder)
        except FileExistsError as error:
            raise self._changed() from error
        if self._is_of_the_past(manifest):
            self._remove([manifest_name(manifest.generation)])
            raise self._changed()
        self._remove(left_over)
        return manifest

    def check_is_next(self) -> None:
        """Refuse to go on if the folder is not what the change began with."""
        before = None if self._before is None else self._before.generation
        if newest_generation(self._folder) != before:
            raise self._changed()

    def undo(self) -> None:
        """Remove what was saved, unless it was committed after all; what stays is left over."""
        newest = newest_generation(self._folder)
        with suppress(BadIndexFile):
            committed = set() if newest is None else Manifest.read(self._folder, newest).file_names
            self._remove(self._saved - committed)

    def _is_of_the_past(self, manifest: Manifest) -> bool:
        """Say whether a writer that slept for generations took a number that was free again."""
        for _ in range(MAX_READINGS):
            newest = newest_generation(self._folder) or 0
            if newest - manifest.generation < NUM_KEPT:
                return False
            with suppress(BadIndexFile):  # others were at work between the two lines
                return manifest.commits[0] not in Manifest.read(self._folder, newest).commits
        raise BadIndexFile(
            f"the manifest of {self._folder} must be readable to tell whether a change counts, and "
            f"was not {MAX_READINGS} times; open the gallery and look"
        )

    def _left_over(self, manifest: Manifest) -> list[str]:
        """List what nobody will need once a manifest is the folder's, the oldest first."""
        names = sorted(path.name for path in self._folder.iterdir())
        first_kept = max(1, manifest.generation + 1 - NUM_KEPT)  # an old version writes over 0
        old = [number for name in names if (number := generation_of(name)) is not None]
        kept = manifest.file_names | (self._before.file_names if self._before else set())
        return [
            *(manifest_name(number) for number in sorted(old) if number < first_kept),
            *(name for name in names if SHARD.fullmatch(name) and name not in kept),
            *(name for name in names if (made_for(name) or "").startswith(("shard-", "manifest"))),
        ]

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            with suppress(OSError):
                (self._folder / name).unlink()

    def _changed(self) -> IndexChanged:
        return IndexChanged(
            f"the gallery {self._folder} must be what it was when this change began, and somebody "
            f"else changed it meanwhile; open it again and repeat the change"
        )


@contextmanager
def changing_shards(folder: Path, before: Manifest | None) -> Iterator[ShardChange]:
    """Change a folder whose manifest is ``before``, or that has none; a failure leaves it so.

    Raises:
        IndexChanged: somebody else changed it since that manifest was read; theirs stays.
    """
    with index_lock(folder, if_possible=True):
        change = ShardChange(folder, before)
        change.check_is_next()
        try:
            yield change
        except BaseException as error:
            change.undo()
            if isinstance(error, OSError | BadIndexFile):  # another one removed what this needs
                change.check_is_next()
            raise


def is_unfinished(folder: Path) -> bool:
    """Say whether all there is in a folder was left by a build that was killed, or still goes on.

    Shards alone might be a gallery whose manifest is lost; the lock tells who put them there.
    """
    if not (folder / FOLDER_LOCK).is_file():
        return False
    names = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    return all(SHARD.fullmatch(name) for name in names)
