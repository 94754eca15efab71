"""The user's own images in folders: a folder per class, its name the class's name.

    photos/              photos/
      chair/               query/     asked with: pictures as customers take them
        1.jpg                chair/
        2.jpg                  1.jpg
      lamp/                gallery/   answered with: pictures as the catalogue shows them
        3.jpg                chair/
                               2.jpg

In the first form the seed decides which images of a class ask. Files that are no pictures by their
suffix and names that start with a dot are passed over.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from cmpc_search.data.base import ROLES
from cmpc_search.data.images import load_image
from cmpc_search.data.picture_file import readable_suffixes
from cmpc_search.data.source import Picture, Source
from cmpc_search.errors import BadData

__all__ = ["FolderSource", "files_version"]


class FolderSource(Source):
    """Class folders, or ``query/`` and ``gallery/`` with class folders in each."""

    licences = ("the user's own images",)

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.name = self.folder.name

    def version(self) -> str:
        return files_version([path for _, _, path in self._listed()])

    def pictures(self) -> Sequence[Picture]:
        pictures = [
            Picture(
                item_name=path.relative_to(self.folder).as_posix(),
                class_name=class_name,
                read=partial(load_image, path),
                role=role,
            )
            for role, class_name, path in self._listed()
        ]
        if not pictures:
            raise BadData(
                f"{self.folder} must hold a folder of images per class, or query/ and gallery/ "
                "with class folders in each; no image was found in such a place"
            )
        return pictures

    def _listed(self) -> Iterator[tuple[str | None, str, Path]]:
        """Yield role, class name and path, ordered by class and then by path."""
        has_roles = {folder.name for folder in _folders(self.folder)} == set(ROLES)
        roles = [(role, self.folder / role) for role in ROLES]
        tops = roles if has_roles else [(None, self.folder)]
        class_folders = [
            (folder.name, role, folder) for role, top in tops for folder in _folders(top)
        ]
        for class_name, role, folder in sorted(class_folders, key=lambda found: found[::2]):
            for path in sorted(folder.iterdir()):
                if path.suffix.lower() in readable_suffixes() and not path.name.startswith("."):
                    yield role, class_name, path


def files_version(paths: Sequence[Path]) -> str:
    """Return a hash of the files' names, sizes and times: cheap, and new when one is edited."""
    facts = hashlib.sha256()
    for path in paths:
        stat = path.stat()
        facts.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return facts.hexdigest()


def _folders(parent: Path) -> list[Path]:
    return sorted(
        path for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
