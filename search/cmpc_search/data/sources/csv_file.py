"""The user's own images in a CSV file: one row per image, a header with the columns' names.

    path,label,split,role,group
    shots/1.jpg,chair,train,query,studio
    catalogue/2.jpg,chair,train,gallery,press

``path`` is relative to the CSV's folder, or absolute. ``label`` may be empty: such an image is
trained on wherever no class is needed, and never tested. ``split`` and ``role`` may be missing as
columns, and then the seed decides. ``group`` may be missing too; it says where an image comes from,
such as a camera: images of a query's own label and group are no answer to it. ``id`` is what a
vector database calls the item, where that is not its path; embeddings and answers then go by it.
Any other column that is there must be filled in every row. All but the path and the id is
normalised: a blank at the end of a label makes no other class.
"""

import csv
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from cmpc_base.files import is_file
from cmpc_base.hashing import file_hash
from cmpc_search.data.image_set import ROLES, SPLITS
from cmpc_search.data.images import load_image
from cmpc_search.data.sources.base import PathSource, Picture
from cmpc_search.data.sources.folder import files_version
from cmpc_search.data.text import normalised_text
from cmpc_search.errors import BadData

__all__ = ["CsvSource", "listed_files"]

REQUIRED = ("path", "label")
CHOICES = {"split": SPLITS, "role": ROLES}
GROUP, ID = "group", "id"
AS_WRITTEN = ("path", ID)


@dataclass(frozen=True, kw_only=True, slots=True)
class CsvRow:
    """One image as the file names it, with its line for messages."""

    line: int
    path: str
    label: str | None
    """None where the cell is empty."""
    split: str | None
    role: str | None
    group: str | None
    item_id: str | None


class CsvSource(PathSource):
    """Images that a CSV file lists."""

    @classmethod
    def takes(cls, path: Path) -> bool:
        return path.suffix.lower() == ".csv" and path.is_file()

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.name = self.path.stem

    def version(self) -> str:
        listing = file_hash(self.path)
        return f"{listing} {files_version([self._file(row) for row in self._rows()])}"

    def pictures(self) -> Sequence[Picture]:
        return [
            Picture(
                item_name=row.item_id or row.path,
                class_name=row.label,
                read=partial(load_image, self._file(row)),
                role=row.role,
                split=row.split,
                group=row.group,
            )
            for row in self._rows()
        ]

    def _file(self, row: CsvRow) -> Path:
        return self.path.parent / row.path

    def _rows(self) -> list[CsvRow]:
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                rows = self._parse(_reader(file))
        except UnicodeDecodeError as error:
            raise BadData(
                f"{self.path} must be text in UTF-8, and is not: {error}; save it in that encoding"
            ) from error
        except csv.Error as error:
            raise BadData(
                f"{self.path} must be CSV with commas and double quotes, and is not: {error}"
            ) from error
        if missing := [row for row in rows if not is_file(self._file(row))]:
            raise BadData(
                f"every path in {self.path} must be a file, but {len(missing)} of {len(rows)} are "
                f"not; the first is {str(self._file(missing[0]))!r} in line {missing[0].line}"
            )
        return rows

    def _parse(self, reader: "csv.DictReader[str]") -> list[CsvRow]:
        columns = list(reader.fieldnames or [])
        known = {*REQUIRED, *CHOICES, GROUP, ID}
        if not set(REQUIRED) <= set(columns) <= known or len(set(columns)) < len(columns):
            raise BadData(
                f"the first line of {self.path} must name the columns path and label, and may "
                f"name split, role, group and id, got {', '.join(columns) or 'nothing'}"
            )
        rows = [self._row(reader.line_num, cells) for cells in reader]
        if not rows:
            raise BadData(f"{self.path} must list at least one image, got its header only")
        return rows

    def _row(self, line: int, cells: dict[str, str | None]) -> CsvRow:
        where = f"line {line} of {self.path}"
        if None in cells or None in cells.values():
            raise BadData(f"{where} must have as many cells as the header has columns")
        cells = {
            column: (cell or "") if column in AS_WRITTEN else normalised_text(cell or "")
            for column, cell in cells.items()
        }
        if not cells["path"]:
            raise BadData(f"{where} must have a path, got {list(cells.values())}")
        if empty := [column for column in (GROUP, ID) if not cells.get(column, "-")]:
            raise BadData(f"{where} must have the {empty[0]}, as the header has that column")
        for column, names in CHOICES.items():
            if column in cells and cells[column] not in names:
                raise BadData(
                    f"the {column} in {where} must be one of {', '.join(names)}, "
                    f"got {cells[column]!r}"
                )
        if not cells["label"] and cells.get("split", "train") != "train":
            raise BadData(
                f"{where} must have a label, or be of the split train: an image that validates or "
                "tests must be of a known class"
            )
        return CsvRow(
            line=line,
            path=cells["path"],
            label=cells["label"] or None,
            split=cells.get("split"),
            role=cells.get("role"),
            group=cells.get(GROUP),
            item_id=cells.get(ID),
        )


def listed_files(path: Path) -> Iterator[Path]:
    """Yield the files that a CSV file names as pictures, whatever else is wrong with it."""
    with (
        path.open(encoding="utf-8-sig", errors="replace", newline="") as file,
        suppress(csv.Error),  # told by `CsvSource`
    ):
        yield from (path.parent / (row.get("path") or "") for row in _reader(file))


def _reader(file: TextIO) -> "csv.DictReader[str]":
    reader = csv.DictReader(file, strict=True)
    reader.fieldnames = [normalised_text(column) for column in reader.fieldnames or []]
    return reader
