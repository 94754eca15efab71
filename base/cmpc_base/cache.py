"""Where is everything that is kept between runs? One record, with a property for each folder.

    <cache>/data/         data sets as they were prepared, a folder for each size
            packages/     what data sets are made of, as it was downloaded
            runtimes/     TVM's runtime for other processors, as it was downloaded
            views/        banks of views that query networks are trained on
            compiled/     compiled networks, each with its latest timings
            kernels/      machine code of single kernels, which networks share
            reference/    the networks that are timed in turn with every other
            schedules/    what tuning measured, a database for each processor
            verified/     which index files were found to be what was written
            benchmarks/   what the benchmarks compile
            users/        a locked file for each process that uses the cache, see ``cache_users``

What depends on the machine or on our code and not on one run is kept here. An entry is a file or a
folder right below one of these, is there whole or not at all (but for banks of views, which are
there as far as they were made), and was used last when it was last modified: whoever uses one says
so (``mark_used``). ``trimming`` removes the oldest.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cmpc_base.cache_users import join_users
from cmpc_base.files import replacing
from cmpc_base.hashing import file_hash

__all__ = ["KINDS", "Cache", "Kind", "keep_by_content", "mark", "users_cache", "whole_file"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One kind of what is kept.

    Attributes:
        name: Of the folder, too.
        what: In words for users.
        is_made_again: Whether cmpc makes an entry again by itself when it needs it. Of the others
            only a download or hours of measuring bring one back: they go only when asked for.
    """

    name: str
    what: str
    is_made_again: bool = True


KINDS = (
    Kind(name="data", what="prepared data sets"),
    Kind(name="views", what="banks of views to train on"),
    Kind(name="compiled", what="compiled networks and their timings"),
    Kind(name="kernels", what="machine code of kernels"),
    Kind(name="reference", what="the network timed with every other"),
    Kind(name="verified", what="which indexes were verified"),
    Kind(name="packages", what="downloads that data sets are made of", is_made_again=False),
    Kind(name="runtimes", what="downloaded runtimes of TVM", is_made_again=False),
    Kind(name="schedules", what="tuned schedules", is_made_again=False),
    Kind(name="benchmarks", what="what the benchmarks compile", is_made_again=False),
)


@dataclass(frozen=True, slots=True)
class Cache:
    """The folders below ``path``; none of them need be there."""

    path: Path

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def packages(self) -> Path:
        return self.path / "packages"

    @property
    def runtimes(self) -> Path:
        return self.path / "runtimes"

    @property
    def views(self) -> Path:
        return self.path / "views"

    @property
    def compiled(self) -> Path:
        return self.path / "compiled"

    @property
    def kernels(self) -> Path:
        return self.path / "kernels"

    @property
    def reference(self) -> Path:
        return self.path / "reference"

    @property
    def schedules(self) -> Path:
        return self.path / "schedules"

    @property
    def verified(self) -> Path:
        return self.path / "verified"

    @property
    def benchmarks(self) -> Path:
        return self.path / "benchmarks"

    @property
    def users(self) -> Path:
        return self.path / "users"

    def folder(self, kind: Kind) -> Path:
        """Return where the entries of a kind are."""
        return self.path / kind.name

    def join(self) -> None:
        """Be a user of the cache: what is marked from now on stays while this process runs."""
        with suppress(OSError):
            join_users(self.users, os.getpid())

    def mark_used(self, entry: Path) -> None:
        """Note that an entry is needed now; while this process runs, nobody's trimming takes it.

        Say so before reading it. A cache that may only be read notes nothing, and nobody may trim
        it.
        """
        self.join()
        mark(entry)


def users_cache() -> Cache:
    """Return the cache that CMPC_CACHE names, else the one in the user's home folder.

    Raises:
        RuntimeError: the user has none, as any user id in a container.
    """
    return Cache(Path(os.environ.get("CMPC_CACHE") or Path.home() / ".cache" / "cmpc"))


def mark(entry: Path) -> None:
    """Note that an entry is used now, by a process that has said that it uses the cache."""
    with suppress(OSError):
        os.utime(entry)


def keep_by_content(folder: Path, ending: str, write: Callable[[Path], object]) -> Path:
    """Keep in ``folder`` what ``write`` writes, under its hash; one that is whole stays.

    An altered file is found out by its name, see `whole_file`.

    Raises:
        OSError: the file system refuses.
    """
    with tempfile.TemporaryDirectory() as drafts:
        draft = Path(drafts) / f"draft{ending}"
        write(draft)
        path = folder / f"{file_hash(draft)}{ending}"
        mark(path)
        if not _is_whole(path):
            with replacing(path) as file:
                file.write(draft.read_bytes())
    return path


def whole_file(folder: Path, ending: str) -> Path | None:
    """Return a file of this ending whose content is what its name says, if there is one."""
    return next(filter(_is_whole, sorted(folder.glob(f"*{ending}"))), None)


def _is_whole(path: Path) -> bool:
    try:
        return file_hash(path) == path.stem
    except OSError:  # it is not there, or another process has just removed it
        return False
