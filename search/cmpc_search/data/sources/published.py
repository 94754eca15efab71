"""What the published sets of retrieval have in common: lists of pictures, and a closed test.

The publishers say which classes test. A fifth of the others validates, drawn by their names. Where
no query set is published, every picture asks for all others of its class: it stands on both sides,
and is no answer to itself.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cmpc_search.data.hash_order import drawn
from cmpc_search.data.picture_file import read_file
from cmpc_search.data.sources.base import Picture, ReadPicture
from cmpc_search.data.sources.folder import files_version
from cmpc_search.errors import BadData

__all__ = ["Listed", "inner_folder", "is_there", "pictures_of", "table_rows"]

VALIDATION_SHARE = 0.2
MIN_CLASSES = 2  # of a split; with one, whatever is found is right
ONE_ASKS_OF = 3  # pictures of a class, where nobody says who asks


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """One picture as a published list names it."""

    item_name: str
    class_name: str | None
    read: ReadPicture
    is_test: bool
    role: str | None = None
    """None where every picture asks for all others."""


def pictures_of(listed: Sequence[Listed]) -> list[Picture]:
    """Return the pictures of a published set in their order, each with its split and role."""
    validates = _validation_classes(listed)
    seen: dict[str | None, int] = defaultdict(int)
    pictures: list[Picture] = []
    for one in listed:
        split = "validation" if one.class_name in validates else "test" if one.is_test else "train"
        picture = Picture(
            item_name=one.item_name,
            class_name=one.class_name,
            read=one.read,
            split=split,
            group=one.item_name,
        )
        number = seen[one.class_name]
        seen[one.class_name] += 1
        pictures.extend(_on_sides(picture, one, number))
    return pictures


def _on_sides(picture: Picture, listed: Listed, number: int) -> Iterator[Picture]:
    """Yield a picture once for each side on which it stands."""
    if listed.role is None and picture.split != "train":
        yield replace(picture, role="gallery")
        name = picture.item_name
        yield replace(picture, item_name=f"{name} (asks)", role="query", copy_of=name)
    else:
        drawn_role = "query" if number % ONE_ASKS_OF == 0 else "gallery"
        yield replace(picture, role=listed.role or drawn_role)


def _validation_classes(listed: Sequence[Listed]) -> set[str]:
    train = dict.fromkeys(one.class_name for one in listed if not one.is_test)
    names = [name for name in train if name is not None]
    most = len(names) - MIN_CLASSES
    chosen = drawn(names, "validation", VALIDATION_SHARE, least=MIN_CLASSES, most=most)
    return {names[position] for position in chosen}


def table_rows(path: Path, num_columns: int, *, num_skipped: int = 0) -> Iterator[list[str]]:
    """Yield the cells of each line of a list whose columns blanks divide.

    Raises:
        BadData: the list is not there or no text, or a line has another number of cells.
    """
    if not path.is_file():
        raise BadData(f"{path} must be there, as it was published; get the data again")
    try:
        lines = read_file(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise BadData(f"{path} must be text in UTF-8: {error}") from error
    for number, line in enumerate(lines[num_skipped:], start=num_skipped + 1):
        cells = line.split()
        if cells and len(cells) != num_columns:
            raise BadData(
                f"line {number} of {path} must have {num_columns} cells with blanks between, "
                f"got {line!r}"
            )
        if cells:
            yield cells


def inner_folder(folder: Path, name: str) -> Path:
    """Return the folder that an archive unpacks to, if ``folder`` is what it was unpacked in."""
    inner = folder / name
    return inner if inner.is_dir() else folder


def is_there(files: Sequence[Path], folder: Path) -> str:
    """Return a version of all files that lists name, which changes whenever one of them does.

    Raises:
        BadData: some are not there.
    """
    if missing := [path for path in files if not path.is_file()]:
        raise BadData(
            f"every picture that the lists in {folder} name must be there, {len(missing)} of "
            f"{len(files)} are not, the first is {missing[0]}; get the data again"
        )
    return files_version(files)
