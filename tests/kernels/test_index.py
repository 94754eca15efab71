"""An index gives the same answers after a trip through its file, and a damaged file is refused."""

import json
import os
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cmpc_kernels import BadArgument, BadIndexFile, GalleryIndex, topk

NAMES = ["openmoji/1F600", "twemoji/1F600", "ünï/\n\"'", ""]


@pytest.fixture
def embeddings(rng):
    return rng.standard_normal((4, 7), dtype=np.float32)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small index file, as bytes, and where to write its altered copies."""
    path = tmp_path_factory.mktemp("index") / "gallery.index"
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    GalleryIndex.build(rows, item_names=["a", "b"], labels=[3, -4], network_sha256="5e").save(path)
    return path.read_bytes(), path.with_name("altered.index")


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
@pytest.mark.parametrize("verify_rows", [True, False])
def test_a_loaded_index_is_the_saved_one(metric, verify_rows, embeddings, tmp_path):
    built = GalleryIndex.build(
        embeddings, metric, item_names=NAMES, labels=[2**60, -1, 0, 0], network_sha256="5e"
    )
    built.save(tmp_path / "gallery.index")

    loaded = GalleryIndex.load(str(tmp_path / "gallery.index"), verify_rows=verify_rows)

    np.testing.assert_array_equal(loaded.rows, built.rows)
    np.testing.assert_array_equal(loaded.labels, [2**60, -1, 0, 0])
    assert loaded.item_names == tuple(NAMES)
    assert (loaded.metric, loaded.network_sha256, len(loaded)) == (metric, "5e", 4)
    assert (loaded.rows.flags.writeable, loaded.rows.ctypes.data % 64) == (False, 0)
    expected = topk(embeddings, embeddings, 3, metric)
    for index in (built, loaded):
        found = index.search(embeddings, 3, network_sha256="5e")
        np.testing.assert_array_equal(found.ids, expected.ids)
        np.testing.assert_array_equal(found.scores, expected.scores)


def test_names_labels_and_items_may_all_be_missing(tmp_path):
    GalleryIndex.build(np.empty((0, 5), np.float16)).save(tmp_path / "empty.index")

    loaded = GalleryIndex.load(tmp_path / "empty.index")

    assert (loaded.item_names, loaded.labels, loaded.network_sha256) == (None, None, None)
    assert loaded.search(np.ones((1, 5), np.float32), 2).ids.tolist() == [[-1, -1]]


def test_an_index_keeps_its_own_copy_of_the_rows(embeddings):
    index = GalleryIndex.build(embeddings)
    embeddings[:] = 0

    assert index.rows.any()


def test_queries_of_another_space_are_refused(embeddings):
    index = GalleryIndex.build(embeddings, network_sha256="5e")
    with pytest.raises(BadArgument, match="that of network 5e, got queries for network 7f"):
        index.search(embeddings, 1, network_sha256="7f")
    with pytest.raises(BadArgument, match="that of network unknown, got queries for network 7f"):
        GalleryIndex.build(embeddings).search(embeddings, 1, network_sha256="7f")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embeddings": np.full((4, 7), np.nan, np.float32)}, "4 of 4 rows, first in row 0"),
        ({"embeddings": np.ones((4, 7))}, "float32 or float16, got float64"),
        ({"metric": "hamming"}, "no metric is called 'hamming'"),
        ({"item_names": ["a"]}, "one name for each of the 4 items, got 1"),
        ({"item_names": "abcd"}, "one name for each of the 4 items"),
        ({"labels": [1.5, 2, 3, 4]}, "labels must be integers, got float64"),
    ],
)
def test_what_cannot_be_indexed_is_refused(change, message, embeddings):
    with pytest.raises(BadArgument, match=message):
        GalleryIndex.build(**{"embeddings": embeddings} | change)


@settings(deadline=None, max_examples=300, derandomize=True)
@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
@example(position=8, flip=1)  # the version
@example(position=12, flip=1)  # the header's length
def test_any_altered_byte_is_noticed(saved, position, flip):
    content, path = saved
    altered = bytearray(content)
    altered[position % len(content)] ^= flip
    path.write_bytes(altered)

    with pytest.raises(BadIndexFile, match=r"altered\.index"):
        GalleryIndex.load(path)


def test_any_missing_or_added_end_is_noticed_even_without_the_rows_checksum(saved):
    content, path = saved
    for altered in [*(content[:length] for length in range(len(content))), content + b"\0"]:
        path.write_bytes(altered)
        with pytest.raises(BadIndexFile, match=r"altered\.index"):
            GalleryIndex.load(path, verify_rows=False)


def test_a_later_version_says_so(saved):
    content, path = saved
    path.write_bytes(content[:8] + struct.pack("<I", 2) + content[12:])
    with pytest.raises(BadIndexFile, match="reads index files of version 1, got version 2"):
        GalleryIndex.load(path)


def test_a_reader_that_knows_only_the_documented_layout_finds_the_rows(saved):
    content, _ = saved
    magic, version, header_length = struct.unpack_from("<8sIQ", content)
    header = json.loads(content[52 : 52 + header_length])
    offset = (52 + header_length + 63) // 64 * 64

    assert (magic, version) == (b"cmpcgidx", 1)
    assert header["item_names"] == ["a", "b"]
    assert header["labels"] == [3, -4]
    assert np.frombuffer(content, "<f4", offset=offset).tolist() == [0, 1, 2, 3, 4, 5]


def test_a_failed_save_leaves_the_old_file_and_nothing_else(embeddings, tmp_path, monkeypatch):
    path = tmp_path / "gallery.index"
    GalleryIndex.build(embeddings[:1]).save(path)
    before = path.read_bytes()

    def full_disk(_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        GalleryIndex.build(embeddings).save(path)

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
