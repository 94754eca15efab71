"""GroceryStoreDataset: photographs that phones took in shops, and one catalogue picture a product.

M. Klasson, C. Zhang, H. Kjellstroem: A Hierarchical Grocery Store Image Dataset with Visual and
Semantic Labels, WACV 2019. The user clones https://github.com/marcusklasson/GroceryStoreDataset;
the clone, or the folder ``dataset`` in it, is read as it was published:

    classes.csv                   Class Name (str),Class ID (int),...,Iconic Image Path (str),...
    train.txt, val.txt, test.txt  train/Fruit/Lime/Lime_001.jpg, 9, 5: path, class, coarse class

A class is one of the 81 products. The photographs of the published test split ask; the catalogue
picture and the photographs of the other two splits answer. Which classes train, validate and test
is decided by their names, as everywhere here: the published splits have all classes in each.
"""

import csv
import io
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from cmpc_base.hashing import document_hash
from cmpc_search.data.images import load_image
from cmpc_search.data.picture_file import read_file
from cmpc_search.data.sources.base import OwnCopySource, Picture
from cmpc_search.data.sources.folder import files_version
from cmpc_search.errors import BadData

__all__ = ["GrocerySource"]

CLASSES_FILE = "classes.csv"
CLASS_ID, CLASS_NAME = "Class ID (int)", "Class Name (str)"
ICONIC_PATH = "Iconic Image Path (str)"
ROLES_OF_LISTS = {"train.txt": "gallery", "val.txt": "gallery", "test.txt": "query"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """One picture as the published lists name it."""

    path: str
    class_name: str
    role: str


class GrocerySource(OwnCopySource):
    """A clone of GroceryStoreDataset."""

    name = "grocery"
    licences = ("MIT (Copyright Marcus Klasson)",)

    def __init__(self, folder: Path) -> None:
        inner = folder / "dataset"
        self.folder = inner if inner.is_dir() else folder

    def version(self) -> str:
        listed = [(one.path, one.class_name, one.role) for one in self._listed]
        files = [self.folder / one.path for one in self._listed]
        missing = [path for path in files if not path.is_file()]
        if missing:
            raise BadData(
                f"every picture that the lists in {self.folder} name must be there, {len(missing)} "
                f"of {len(files)} are not, the first is {missing[0]}; clone the repository again"
            )
        return f"{document_hash(listed)} {files_version(files)}"

    def pictures(self) -> Sequence[Picture]:
        return [
            Picture(
                item_name=one.path,
                class_name=one.class_name,
                read=partial(load_image, self.folder / one.path),
                role=one.role,
            )
            for one in self._listed
        ]

    @cached_property
    def _listed(self) -> list[Listed]:
        table = self._classes()
        names = {number: row[CLASS_NAME].strip() for number, row in table.items()}
        catalogue = [
            Listed(path=row[ICONIC_PATH].strip("/ "), class_name=names[number], role="gallery")
            for number, row in table.items()
        ]
        photographs = [
            Listed(path=path, class_name=names[number], role=role)
            for name, role in ROLES_OF_LISTS.items()
            for path, number in self._photographs(name, known=names)
        ]
        return catalogue + photographs

    def _classes(self) -> dict[str, dict[str, str]]:
        """Return the rows of the published table by the numbers of the classes."""
        reader = csv.DictReader(io.StringIO(self._text(CLASSES_FILE)))
        if not {CLASS_ID, CLASS_NAME, ICONIC_PATH} <= set(reader.fieldnames or ()):
            raise BadData(
                f"the first line of {self.folder / CLASSES_FILE} must name the columns "
                f"{CLASS_NAME}, {CLASS_ID} and {ICONIC_PATH}, got {reader.fieldnames}"
            )
        return {row[CLASS_ID].strip(): row for row in reader}

    def _photographs(self, name: str, *, known: Container[str]) -> Iterator[tuple[str, str]]:
        """Yield path and class number of each line of a list."""
        for number, line in enumerate(self._text(name).splitlines(), start=1):
            cells = [cell.strip() for cell in line.split(",")]
            if cells == [""]:
                continue
            if len(cells) != 3 or cells[1] not in known:
                raise BadData(
                    f"line {number} of {self.folder / name} must be a path, a class of "
                    f"{CLASSES_FILE} and a coarse class, got {line!r}"
                )
            yield cells[0], cells[1]

    def _text(self, name: str) -> str:
        path = self.folder / name
        if not path.is_file():
            raise BadData(
                f"{self.folder} must be a clone of GroceryStoreDataset, and has no {name}; get one "
                "with `git clone https://github.com/marcusklasson/GroceryStoreDataset`"
            )
        try:
            return read_file(path).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadData(f"{path} must be text in UTF-8: {error}") from error
