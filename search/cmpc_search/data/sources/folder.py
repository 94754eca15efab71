"""The user's own images in folders: a folder per class, its name the class's name.

    photos/              photos/
      chair/               query/     asked with: pictures as customers take them
        1.jpg                chair/
        2.jpg                  1.jpg
      lamp/                gallery/   answered with: pictures as the catalogue shows them
        3.jpg                chair/
                               2.jpg

In the first form the seed decides which images of a class ask. What else lies there is passed over
and counted: files with other suffixes, in deeper folders, beside the class folders or beside
``query/`` and ``gallery/``, names that start with a dot, links to nothing, and what other programs
leave behind.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from cmpc_base.printable import printable
from cmpc_search.data.image_set import ROLES
from cmpc_search.data.images import load_image
from cmpc_search.data.passed_over import (
    JUNK_FOLDERS,
    MAX_COUNTED,
    PassedOver,
    PassReason,
    count_passed_over,
    files_below,
)
from cmpc_search.data.picture_file import readable_suffixes
from cmpc_search.data.sources.base import PathSource, Picture
from cmpc_search.errors import BadData

__all__ = ["FolderSource", "files_version"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedFile:
    """A picture's file, in the place that says what it shows."""

    path: Path
    class_name: str
    role: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What lies in a data set's folder."""

    pictures: tuple[ListedFile, ...]
    files: tuple[tuple[Path, PassReason], ...]
    """Passed over, and folders of other programs."""
    folders: tuple[tuple[Path, PassReason], ...]
    """Passed over with all the files in them."""


class FolderSource(PathSource):
    """Class folders, or ``query/`` and ``gallery/`` with class folders in each."""

    @classmethod
    def takes(cls, path: Path) -> bool:
        return path.is_dir()

    def __init__(self, path: Path) -> None:
        self.folder = path.resolve()
        self.name = printable(self.folder.name)

    def version(self) -> str:
        return files_version([picture.path for picture in self._listing.pictures])

    def pictures(self) -> Sequence[Picture]:
        if not self._listing.pictures:
            raise BadData(self._why_there_is_none())
        return [
            Picture(
                item_name=printable(listed.path.relative_to(self.folder).as_posix()),
                class_name=printable(listed.class_name),
                read=partial(load_image, listed.path),
                role=listed.role,
            )
            for listed in self._listing.pictures
        ]

    def passed_over(self) -> Sequence[PassedOver]:
        deeper = list(files_below(self._listing.folders))
        return [
            *count_passed_over(self._listing.files, self.folder),
            *count_passed_over(deeper, self.folder, is_all=len(deeper) < MAX_COUNTED),
        ]

    @cached_property
    def _listing(self) -> Listing:
        """What is there when this is first asked for: version and pictures must agree."""
        return _listed(self.folder)

    def _why_there_is_none(self) -> str:
        passed_over = "; ".join(group.describe() for group in self.passed_over()[:3])
        return (
            f"{printable(self.folder)} must hold a folder of images per class, or query/ and "
            "gallery/ with class folders in each; no image was found in such a place"
            + (f". What is there: {passed_over}" if passed_over else "")
        )


def files_version(paths: Sequence[Path]) -> str:
    """Return a hash of the files' names, sizes and times: cheap, and new when one is edited."""
    facts = hashlib.sha256()
    for path in paths:
        stat = path.stat()
        facts.update(os.fsencode(path))
        facts.update(f"\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return facts.hexdigest()


def _listed(root: Path) -> Listing:
    """List a data set's folder, its pictures ordered by class and then by path."""
    scan = _FolderScan()
    tops: list[tuple[str | None, Path]] = [(None, root)]
    if all(_has_folder(root / role) for role in ROLES):
        tops = [(role, root / role) for role in ROLES]
        scan.pass_over_others(root, but=ROLES)
    class_folders = [
        (folder.name, role, folder) for role, top in tops for folder in scan.folders_in(top)
    ]
    pictures = [
        ListedFile(path=path, class_name=class_name, role=role)
        for class_name, role, folder in sorted(class_folders, key=lambda found: found[::2])
        for path in scan.pictures_in(folder)
    ]
    return Listing(pictures=tuple(pictures), files=tuple(scan.files), folders=tuple(scan.folders))


class _FolderScan:
    """Sorts what lies in folders, and keeps what it passes over."""

    def __init__(self) -> None:
        self.files: list[tuple[Path, PassReason]] = []
        self.folders: list[tuple[Path, PassReason]] = []

    def folders_in(self, parent: Path) -> list[Path]:
        """Return the folders of classes; files beside them are passed over."""
        found = []
        for path, is_folder in self._seen(parent):
            if is_folder:
                found.append(path)
            else:
                self.files.append((path, PassReason.BESIDE))
        return found

    def pictures_in(self, folder: Path) -> Iterator[Path]:
        """Yield a class's pictures; its folders, and files of other kinds, are passed over."""
        for path, is_folder in self._seen(folder):
            if is_folder:
                self.folders.append((path, PassReason.DEEPER))
            elif path.suffix.lower() in readable_suffixes():
                yield path
            else:
                self.files.append((path, PassReason.SUFFIX))

    def pass_over_others(self, root: Path, *, but: Sequence[str]) -> None:
        """Pass over what lies beside some folders."""
        for path, is_folder in self._seen(root):
            if path.name not in but:
                (self.folders if is_folder else self.files).append((path, PassReason.BESIDE))

    def _seen(self, parent: Path) -> Iterator[tuple[Path, bool]]:
        """Yield what is neither hidden nor junk nor special, and whether it is a folder."""
        with os.scandir(parent) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
        for entry in ordered:
            is_folder, is_file = _kind(entry)
            reason = _reason_to_skip(entry, is_folder=is_folder, is_file=is_file)
            if reason is None:
                yield Path(entry.path), is_folder
            else:
                # Of a folder too: nobody asks what is in it.
                self.files.append((Path(entry.path), reason))


def _kind(entry: "os.DirEntry[str]") -> tuple[bool, bool]:
    """Return whether it is, or leads to, a folder, and whether a regular file."""
    try:
        return entry.is_dir(), entry.is_file()
    except OSError:  # a link to itself, or through a folder that is closed to us
        return False, False


def _reason_to_skip(
    entry: "os.DirEntry[str]", *, is_folder: bool, is_file: bool
) -> PassReason | None:
    if entry.name.startswith("."):
        return PassReason.HIDDEN
    if is_folder and entry.name.lower() in JUNK_FOLDERS:
        return PassReason.JUNK
    if is_folder or is_file:
        return None
    return PassReason.MISSING if entry.is_symlink() else PassReason.SPECIAL


def _has_folder(parent: Path) -> bool:
    """Whether class folders are in it: a class may be called query or gallery too."""
    return parent.is_dir() and any(path.is_dir() for path in parent.iterdir())
