"""Keep an index as one file: which one it was read from, and who else has written that since."""

import os
from pathlib import Path
from typing import Self

from cmpc_base.files import make_folder
from cmpc_kernels.gallery.index_file import IndexFile, StoredAs, Verify
from cmpc_kernels.gallery.index_layout import read_index, write_index
from cmpc_kernels.gallery.index_writing import clearing
from cmpc_kernels.gallery.items import ItemTable
from cmpc_kernels.gallery.row_store import RowStore
from cmpc_kernels.gallery.searchable import KeptIndex
from cmpc_kernels.locks import index_lock

__all__ = ["StoredIndex"]


class StoredIndex(KeptIndex):
    """Embeddings and items of an index, and the files that hold them."""

    def __init__(self, rows: RowStore, items: ItemTable, *stored: StoredAs) -> None:
        self._rows, self._items = rows, items
        self._stored = {one.path: one for one in stored}

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, verify: Verify = True) -> Self:
        """Open a saved index; its arrays stay on disk and are paged in as they are searched.

        ``verify=False`` skips the checksums of the arrays, which read the whole file, and a
        function is asked whether to. The header, the version, the layout and the file's length are
        always checked.

        Raises:
            BadIndexFile: the file is no index, of another version, cut off or altered.
        """
        return cls.of_file(IndexFile.open(Path(path)), verify)

    @classmethod
    def of_file(cls, file: IndexFile, verify: Verify) -> Self:
        """Return the index in a file that is mapped; ``verify`` as in ``load``.

        Raises:
            BadIndexFile: it is altered, or another kind of writer wrote it.
        """
        return cls(*read_index(file, verify), file.stored_as)

    def save(self, path: str | os.PathLike[str]) -> str:
        """Write the index to one file, whole or not at all; return the SHA-256 of its header.

        A link is followed, and a file that is there keeps its permissions. Who loads an index,
        changes it and saves it there holds ``index_lock`` meanwhile, so as not to be refused.

        Raises:
            IndexChanged: this index was loaded from the file, or saved to it, and somebody else has
                written it since; their change stays.
        """
        make_folder(Path(os.path.realpath(path)).parent)
        with index_lock(path, if_possible=True), clearing(Path(path)):
            return self.write(Path(path))

    def write(self, path: Path) -> str:
        """Save without the lock, under a name that nobody else knows."""
        opened = self._stored.get(Path(os.path.realpath(path)))
        try:
            stored = write_index(path, self._rows, self._items, opened)
        except FileNotFoundError:  # who replaced the file took what was being written for left over
            if opened is not None:
                opened.check_unchanged()
            raise
        self._stored.pop(stored.path, None)
        self._stored[stored.path] = stored  # the last one
        return stored.header_sha256

    @property
    def stored_files(self) -> tuple[StoredAs, ...]:
        """The file that it was loaded from or last saved to, if any, as that was then."""
        return tuple(self._stored.values())[-1:]
