"""What every export takes out of an index, and what it refuses; no other library is needed."""

import sys

import numpy as np
import pytest

from cmpc_base.errors import MissingLibrary
from cmpc_kernels import BadArgument, GalleryIndex, from_lance, to_lance, to_pgvector, to_qdrant
from cmpc_kernels.engines import travelling
from cmpc_kernels.engines.travelling import check_travels, contract_in, contract_text, pieces_of


def test_all_items_travel_in_pieces_with_their_ids(shop, monkeypatch):
    monkeypatch.setattr(travelling, "PIECE_VALUES", 5 * 6)

    pieces = list(pieces_of(shop))

    assert max(len(piece.ids) for piece in pieces) == 5
    ids = np.concatenate([piece.ids for piece in pieces])
    np.testing.assert_array_equal(ids, shop.ids)
    assert [name for piece in pieces for name in piece.names] == [f"näme/{n}" for n in shop.ids]
    np.testing.assert_array_equal(np.concatenate([piece.labels for piece in pieces]), ids % 5)
    for piece in pieces:
        np.testing.assert_array_equal(
            shop.search(piece.rows / np.linalg.norm(piece.rows, axis=1, keepdims=True), 1).ids[
                :, 0
            ],
            piece.ids,
        )


def test_half_precision_travels_as_float32_and_nothing_is_made_up():
    index = GalleryIndex.build(np.eye(3, dtype=np.float32), storage="float16")

    (piece,) = pieces_of(index)

    assert (piece.rows.dtype, piece.names, piece.labels) == (np.float32, None, None)


@pytest.mark.parametrize("name", ["a\0b", "caf\udce9"])
def test_a_name_that_is_no_text_is_refused(name):
    index = GalleryIndex.build(np.eye(1, dtype=np.float32), item_names=[name])

    with pytest.raises(BadArgument, match="rename the item"):
        check_travels(index)


def test_an_index_of_codes_alone_is_refused():
    with pytest.raises(BadArgument, match="keeps codes only"):
        check_travels(GalleryIndex.build(np.eye(2, dtype=np.float32), mode="codes"))


def test_the_query_contract_survives_as_text(shop):
    assert contract_in(contract_text(shop), "here") == shop.query_contract()


@pytest.mark.parametrize("text", [None, "", "{", "[1]", "3", '{"version": 1}'])
def test_what_is_no_contract_is_refused(text):
    with pytest.raises(BadArgument, match="here must say what its queries must be"):
        contract_in(text, "here")


@pytest.mark.parametrize(
    ("library", "extra", "call"),
    [
        ("lance", "lance", lambda index: to_lance(index, "shop.lance")),
        ("lance", "lance", lambda index: from_lance("shop.lance")),
        ("qdrant_client", "qdrant", lambda index: to_qdrant(index, None, "shop")),
        ("psycopg", "pgvector", lambda index: to_pgvector(index, None, "shop")),
    ],
)
def test_a_missing_library_is_told_with_its_extra(library, extra, call, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(MissingLibrary, match=rf"pip install 'cmpc\[{extra}\]'"):
        call(GalleryIndex.build(np.eye(2, dtype=np.float32)))
