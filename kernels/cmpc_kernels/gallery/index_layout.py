"""What an index is as facts and sections of its file, and when these contradict each other.

    settings.py, numbers      --> facts
    row_store.py: rows, codes --> sections "rows", "codes.*"
    items.py: ids, names ...  --> sections "ids", "is_removed", "labels", "name_ends", "name_text"

``docs/index-format.md`` lists them with their dtypes and shapes.
"""

from pathlib import Path
from typing import Any

import numpy as np

from cmpc_kernels.errors import BadArgument
from cmpc_kernels.gallery.ids import Ids
from cmpc_kernels.gallery.index_file import IndexFile, StoredAs, Verify, altered
from cmpc_kernels.gallery.index_writing import write_index_file
from cmpc_kernels.gallery.items import ItemTable
from cmpc_kernels.gallery.names import Names
from cmpc_kernels.gallery.row_store import RowStore
from cmpc_kernels.gallery.row_stores import store_of
from cmpc_kernels.gallery.settings import IndexSettings

__all__ = ["read_index", "write_index"]

NUMBERS = ("dimension", "num_rows", "first_id", "next_id")
ITEM_SECTIONS = {
    "ids": "<i8",
    "is_removed": "|u1",
    "labels": "<i8",
    "name_ends": "<i8",
    "name_text": "|u1",
}


def write_index(path: Path, rows: RowStore, items: ItemTable, opened: StoredAs | None) -> StoredAs:
    """Write an index to one file, whole or not at all; see ``write_index_file``."""
    facts = {
        "settings": rows.settings.to_json(),
        "dimension": rows.dimension,
        "num_rows": len(rows),
        "first_id": items.ids.first_id,
        "next_id": items.ids.next_id,
    }
    return write_index_file(path, facts, rows.arrays() | items.sections(), opened)


def read_index(file: IndexFile, verify: Verify) -> tuple[RowStore, ItemTable]:
    """Return embeddings and items; their arrays stay on disk until they are read.

    What takes longer for more items is looked at only if ``verify`` says so.

    Raises:
        BadIndexFile: the file is not what ``write_index`` wrote.
    """
    path, sections = file.path, file.sections
    if file.verify(verify) and "ids" in sections and not (np.diff(sections["ids"]) > 0).all():
        raise altered(path, "its ids are not ascending")
    settings, numbers = parse_facts(path, file.facts)
    items = read_items(path, numbers, sections)
    arrays = {name: array for name, array in sections.items() if name not in ITEM_SECTIONS}
    try:
        rows = store_of(settings).from_arrays(
            settings, arrays, numbers["num_rows"], numbers["dimension"]
        )
    except BadArgument as error:
        raise altered(path, str(error)) from error
    return rows, items


def parse_facts(path: Path, facts: dict[str, Any]) -> tuple[IndexSettings, dict[str, int]]:
    """Return settings and numbers; what another writer got wrong is refused."""
    numbers = {name: facts.get(name) for name in NUMBERS}
    are_counts = all(type(number) is int and 0 <= number < 2**62 for number in numbers.values())
    if facts.keys() != {"settings", *NUMBERS} or not are_counts:
        raise altered(path, "its header holds unexpected facts")
    counts: dict[str, int] = {name: int(facts[name]) for name in NUMBERS}
    try:
        told = facts["settings"]
        settings = IndexSettings(**told)
        is_sound = (
            isinstance(settings.network_sha256, str | None)
            and type(settings.unit_queries) is bool
            and settings.to_json() | {"mode": told.get("mode")} == told  # it may be an earlier name
            and 1 <= counts["dimension"] <= 1 << 24
            and counts["num_rows"] <= counts["next_id"] - counts["first_id"]
        )
    except (TypeError, BadArgument) as error:
        raise altered(path, f"its settings cannot be read ({error})") from error
    if not is_sound:
        raise altered(path, "its header holds unexpected values")
    return settings, counts


def read_items(path: Path, numbers: dict[str, int], sections: dict[str, Any]) -> ItemTable:
    """Return the items' table from the sections that are there."""
    first_id, next_id, num_rows = numbers["first_id"], numbers["next_id"], numbers["num_rows"]
    for name in ITEM_SECTIONS.keys() & sections.keys():
        array, length = sections[name], (num_rows,)
        is_fit = array.ndim == 1 if name == "name_text" else array.shape == length
        if not is_fit or array.dtype.str != ITEM_SECTIONS[name]:
            raise altered(path, f"its section {name!r} is of another kind")
    ends_G, text_T = sections.get("name_ends"), sections.get("name_text")
    if (ends_G is None) != (text_T is None):
        raise altered(path, "it has half of its names")
    id_G, is_removed_G = sections.get("ids"), sections.get("is_removed")
    if id_G is None and next_id - first_id != num_rows:
        raise altered(path, "its ids do not fit its items")
    if id_G is not None and num_rows and not first_id <= id_G[0] <= id_G[-1] < next_id:
        raise altered(path, "its ids are not those of its header")
    ids = Ids(
        num_rows,
        first_id=first_id,
        next_id=next_id,
        ids=id_G,
        is_removed=None if is_removed_G is None else is_removed_G != 0,
    )
    names = None if ends_G is None or text_T is None else Names(text_T, ends_G)
    return ItemTable(ids, names=names, labels=sections.get("labels"))
