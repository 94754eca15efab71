"""Export a gallery to a collection of Qdrant, by ids.

A point has the item's id, its row as the only vector, and ``name`` and ``label`` as payload. The
collection's metadata name the query contract. Distances: "cosine" is Qdrant's Cosine, "ip" its Dot;
under "l2" Qdrant tells the distance, where our score is its square. The client is a
``qdrant_client.QdrantClient``, which knows address and key; an extra, ``pip install
"cmpc[qdrant]"``.
"""

import json
import os
from typing import Any

import numpy as np

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
from cmpc_kernels.gallery.index import GalleryIndex
from cmpc_kernels.gallery.quantizer import QueryContract
from cmpc_kernels.gallery.shards import ShardedIndex

__all__ = ["open_qdrant", "qdrant_contract", "to_qdrant"]

DISTANCES = {"cosine": "Cosine", "ip": "Dot", "l2": "Euclid"}
POINTS_PER_PAGE = 10_000


def open_qdrant(url: str) -> Any:
    """Return a client of a server; where that wants a key, it is in ``QDRANT_API_KEY``.

    Raises:
        MissingLibrary: the client library is not installed.
    """
    library = load_library("qdrant_client", "Qdrant")
    key = os.environ.get("QDRANT_API_KEY")
    return library.QdrantClient(url, api_key=key, check_compatibility=False)


def to_qdrant(index: GalleryIndex | ShardedIndex, client: Any, collection: str) -> None:
    """Make a collection hold the items of an index and no others.

    It is made if it is not there. Searches meanwhile see some items of before and some of now.

    Raises:
        BadArgument: the index keeps codes only, a name is no text, or the collection is not for the
            queries of this index.
        EngineFault: Qdrant refuses, or can't be reached.
        MissingLibrary: the client library is not installed.
    """
    models = load_library("qdrant_client", "Qdrant").models
    check_travels(index)
    with told_by(f"the collection {collection}", *_errors()):
        if not client.collection_exists(collection):
            client.create_collection(
                collection,
                vectors_config=models.VectorParams(
                    size=index.dimension, distance=DISTANCES[index.metric]
                ),
                metadata={CONTRACT_KEY: json.loads(contract_text(index))},
            )
        check_replaceable(qdrant_contract(client, collection), index, collection)
        for piece in pieces_of(index):
            points = models.Batch(
                ids=piece.ids.tolist(), vectors=piece.rows.tolist(), payloads=payloads_of(piece)
            )
            client.upsert(collection, points=points, wait=True)
        _delete_others(client, models, collection, index)


def qdrant_contract(client: Any, collection: str) -> QueryContract:
    """Return what the queries of a collection must be.

    Raises:
        BadArgument: it does not say; a server before version 1.16 keeps no metadata.
    """
    metadata = getattr(client.get_collection(collection).config, "metadata", None) or {}
    return contract_in(json.dumps(metadata.get(CONTRACT_KEY)), f"the collection {collection}")


def payloads_of(piece: Piece) -> list[dict[str, Any]]:
    """Return name and label of each item."""
    columns = {
        "name": piece.names,
        "label": None if piece.labels is None else piece.labels.tolist(),
    }
    known = {key: values for key, values in columns.items() if values is not None}
    return [{key: values[n] for key, values in known.items()} for n in range(len(piece.ids))]


def _delete_others(client: Any, models: Any, collection: str, index: Any) -> None:
    """Delete the points that are no items of the index."""
    known, start = index.ids, None
    while True:
        points, start = client.scroll(
            collection, limit=POINTS_PER_PAGE, offset=start, with_payload=False, with_vectors=False
        )
        others = [point.id for point in points if not isinstance(point.id, int)]
        numbers = np.array([point.id for point in points if isinstance(point.id, int)], np.uint64)
        others += numbers[~np.isin(numbers, known.astype(np.uint64))].tolist()
        if others:
            client.delete(collection, points_selector=models.PointIdsList(points=others), wait=True)
        if start is None:
            return


def _errors() -> tuple[type[Exception], ...]:
    """Return what the client raises where the server refuses, or is not there."""
    http = load_library("qdrant_client.http.exceptions", "Qdrant")
    common = load_library("qdrant_client.common.client_exceptions", "Qdrant")
    return http.ApiException, common.QdrantException
