"""Carry a gallery into a Lance dataset and back: from there Ray, Spark and LanceDB read it.

    column       type                          holds
    id           int64                         the item's id
    embedding    fixed_size_list<float>[D]     the row, as it was given
    name         string                        if items have names
    label        int64                         if items have labels

The schema's metadata name the query contract. A dataset is a folder, or an object store's address
(``s3://...``), whose credentials Lance takes from the environment. Every export is a version of it:
readers see the one before or this one. The library is an extra, ``pip install "cmpc[lance]"``; the
format: Lance, https://lance.org/format.
"""

import os
from pathlib import Path
from typing import Any

from cmpc_kernels.engines.travelling import (
    CONTRACT_KEY,
    Piece,
    check_replaceable,
    check_travels,
    contract_in,
    contract_text,
    load_library,
    pieces_of,
    told_by,
)
from cmpc_kernels.errors import BadIndexFile
from cmpc_kernels.gallery.index import GalleryIndex
from cmpc_kernels.gallery.quantizer import QueryContract
from cmpc_kernels.gallery.settings import IndexSettings
from cmpc_kernels.gallery.shards import ShardedIndex

__all__ = ["from_lance", "to_lance"]

NEEDED_BY = "a Lance dataset"


def to_lance(index: GalleryIndex | ShardedIndex, uri: str | os.PathLike[str]) -> None:
    """Write all items as a Lance dataset, or as the next version of one that is there.

    Raises:
        BadArgument: the index keeps codes only, a name is no text, or what is there is no dataset
            for the queries of this index.
        EngineFault: Lance can't write there.
        MissingLibrary: Lance is not installed.
    """
    lance, arrow = load_library("lance", NEEDED_BY), load_library("pyarrow", NEEDED_BY)
    check_travels(index)
    uri = os.fspath(uri)
    found = _opened(lance, uri)
    if found is not None:
        check_replaceable(_contract_of(found), index, uri)
    schema = _schema(arrow, index)
    batches = (_batch(arrow, schema, piece) for piece in pieces_of(index))
    reader = arrow.RecordBatchReader.from_batches(schema, batches)
    with told_by(uri, OSError, ValueError):
        lance.write_dataset(reader, uri, mode="create" if found is None else "overwrite")


def from_lance(uri: str | os.PathLike[str]) -> GalleryIndex:
    """Read a Lance dataset that names its query contract into an exact index; items keep their ids.

    Raises:
        BadIndexFile: there is no dataset, or its columns are not those that its contract needs.
        BadArgument: it names no contract, or holds ids twice or rows that are not finite.
        MissingLibrary: Lance is not installed.
    """
    uri = os.fspath(uri)
    dataset = _opened(load_library("lance", NEEDED_BY), uri)
    if dataset is None:
        raise BadIndexFile(f"{uri} must be a Lance dataset, and none is there")
    contract = _contract_of(dataset)
    with told_by(uri, OSError, ValueError):
        table = dataset.to_table().sort_by("id") if _fits(dataset.schema, contract) else None
    if table is None or any(column.null_count for column in table.columns):
        raise BadIndexFile(
            f"{uri} must have a column `id` of int64 and one `embedding` of {contract.dimension} "
            f"float32 numbers, as its contract says, and no nulls; export the index again"
        )
    rows = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    settings = IndexSettings(
        metric=contract.metric,
        network_sha256=contract.network_sha256,
        unit_queries=contract.unit_queries,
    )
    return GalleryIndex.build_with(
        settings,
        rows.reshape(-1, contract.dimension),
        ids=table["id"].to_numpy(),
        item_names=table["name"].to_pylist() if "name" in table.column_names else None,
        labels=table["label"].to_numpy() if "label" in table.column_names else None,
    )


def _opened(lance: Any, uri: str) -> Any:
    """Return the dataset that is there, or None."""
    try:
        return lance.dataset(uri)
    except (ValueError, OSError) as error:
        is_folder = "://" not in uri and Path(uri).exists()
        if is_folder and (not Path(uri).is_dir() or any(Path(uri).iterdir())):
            raise BadIndexFile(f"{uri} must be a Lance dataset or not be there yet") from error
        return None  # what else keeps Lance from reading, it says when it shall write


def _contract_of(dataset: Any) -> QueryContract:
    metadata = dataset.schema.metadata or {}
    return contract_in(metadata.get(CONTRACT_KEY.encode()), dataset.uri)


def _schema(arrow: Any, index: GalleryIndex | ShardedIndex) -> Any:
    rows = arrow.list_(arrow.float32(), index.dimension)
    fields = [arrow.field("id", arrow.int64(), False), arrow.field("embedding", rows, False)]
    if index.item_names is not None:
        fields.append(arrow.field("name", arrow.string(), False))
    if index.labels is not None:
        fields.append(arrow.field("label", arrow.int64(), False))
    return arrow.schema(fields, metadata={CONTRACT_KEY: contract_text(index)})


def _batch(arrow: Any, schema: Any, piece: Piece) -> Any:
    """Return a piece as a record batch; names and labels are left out by the schema."""
    columns: dict[str, Any] = {
        "id": piece.ids,
        "embedding": arrow.FixedSizeListArray.from_arrays(
            piece.rows.reshape(-1), type=schema.field("embedding").type
        ),
        "name": piece.names,
        "label": piece.labels,
    }
    arrays = [arrow.array(columns[field.name], field.type) for field in schema]
    return arrow.RecordBatch.from_arrays(arrays, schema=schema)


def _fits(schema: Any, contract: QueryContract) -> bool:
    """Say whether the columns are there that a contract needs."""
    arrow = load_library("pyarrow", NEEDED_BY)
    kinds = {field.name: field.type for field in schema}
    needed = {"id": arrow.int64(), "embedding": arrow.list_(arrow.float32(), contract.dimension)}
    return all(kinds.get(name) == kind for name, kind in needed.items())
