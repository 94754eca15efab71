"""What travels to another engine: items by their ids, and what their queries must be.

    index --> pieces of some megabytes: ids, rows, names, labels --> lance_files, qdrant, pgvector
          --> query contract: dimension, metric, length, gallery network --> its metadata

Every target holds the items of one index and no others, so exporting again brings it up to date.
One that is there already must name the same contract, so nobody's data are replaced by mistake, and
whoever asks an engine can check queries against it: ``QueryContract.prepare``.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_base.libraries import missing_library
from cmpc_base.printable import one_line
from cmpc_kernels.errors import BadArgument, EngineFault, KernelsError
from cmpc_kernels.gallery.index import GalleryIndex
from cmpc_kernels.gallery.quantizer import QueryContract
from cmpc_kernels.gallery.shards import ShardedIndex

__all__ = [
    "CONTRACT_KEY",
    "Piece",
    "check_replaceable",
    "check_travels",
    "contract_in",
    "contract_text",
    "load_library",
    "pieces_of",
    "told_by",
]

CONTRACT_KEY = "cmpc.query_contract"  # under which metadata name it
PIECE_VALUES = 1 << 18  # of float32: 1 MiB, some 5 MB as text; a request to Qdrant may have 32

MAX_CHARACTERS = 300  # of what an engine says


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Piece:
    """Some items: ``ids`` int64 [N], ``rows`` float32 [N, D], names and labels if they have any."""

    ids: npt.NDArray[np.int64]
    rows: npt.NDArray[np.float32]
    names: list[str] | None
    labels: npt.NDArray[np.int64] | None


def check_travels(index: GalleryIndex | ShardedIndex) -> None:
    """Refuse, before anything is written, what other engines can't take.

    Raises:
        BadArgument: the index keeps codes only, which mean nothing elsewhere, or a name is no text.
    """
    if index.settings.mode == "codes":
        raise BadArgument("an index must keep its rows to be exported, this one keeps codes only")
    for name in index.item_names or ():
        if "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
            raise BadArgument(f"names must be text to be exported, got {name!r}; rename the item")


def pieces_of(index: GalleryIndex | ShardedIndex) -> Iterator[Piece]:
    """Yield all items of an index that ``check_travels`` let through, ids ascending."""
    for shard in index.shards if isinstance(index, ShardedIndex) else (index,):
        rows, ids, names, labels = shard.rows, shard.ids, shard.item_names, shard.labels
        assert rows is not None, "asked before"
        step = max(1, PIECE_VALUES // index.dimension)
        for some in (slice(first, first + step) for first in range(0, len(ids), step)):
            yield Piece(
                ids=ids[some],
                rows=np.asarray(rows[some], np.float32),
                names=None if names is None else list(names[some]),
                labels=None if labels is None else labels[some],
            )


def contract_text(index: GalleryIndex | ShardedIndex) -> str:
    """Return what queries of an index must be, as JSON."""
    return json.dumps(index.query_contract().to_json(), sort_keys=True)


def contract_in(text: str | bytes | None, place: str) -> QueryContract:
    """Return the contract that a place names.

    Raises:
        BadArgument: it names none.
    """
    try:
        return QueryContract.from_json(json.loads(text or "null"))
    except (ValueError, TypeError, AttributeError) as error:
        raise BadArgument(
            f"{place} must say what its queries must be, as an export of cmpc does, and does not; "
            f"choose another, or export an index to a new one"
        ) from error


def check_replaceable(found: QueryContract, index: GalleryIndex | ShardedIndex, place: str) -> None:
    """Refuse to put the items of an index in place of those of another kind."""
    if found != index.query_contract():
        raise BadArgument(
            f"{place} must be for the queries of this index to be brought up to date: it has "
            f"{found}, the index {index.query_contract()}; choose another name"
        )


def load_library(name: str, needed_by: str) -> Any:
    """Return a library that is an extra, or say how to get it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise missing_library(name.partition(".")[0], needed_by) from error


@contextmanager
def told_by(place: str, *errors: type[Exception]) -> Iterator[None]:
    """Let an engine's own errors be ours, in one line.

    Raises:
        EngineFault: one of these errors came.
    """
    try:
        yield
    except KernelsError:
        raise
    except errors as error:
        said = one_line(str(error))[:MAX_CHARACTERS]
        raise EngineFault(f"{place} must be there to be written and read, got: {said}") from error
