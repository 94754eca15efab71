"""An index gives the same answers after a trip through its file, and a damaged file is refused."""

import hashlib
import importlib.metadata
import json
import os
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cmpc_kernels import (
    BadArgument,
    BadIndexFile,
    GalleryIndex,
    IndexSettings,
    KernelsError,
    ShardedIndex,
    open_index,
)
from cmpc_kernels.gallery.shard_changes import changing_shards

NAMES = ["openmoji/1F600", "twemoji/1F600", "ünï/\n\"'", "", "\udcff"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small index file with every kind of section, and where to write its altered copies."""
    path = tmp_path_factory.mktemp("index") / "gallery.index"
    gallery = np.arange(6, dtype=np.float32).reshape(2, 3)
    index = GalleryIndex.build_with(
        IndexSettings(metric="l2", network_sha256="5e"),
        gallery,
        item_names=["a", "b"],
        labels=[3, -4],
        ids=[3, 9],
    )
    index.remove([9])
    index.save(path)
    return path.read_bytes(), path.with_name("altered.index")


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
@pytest.mark.parametrize(
    ("mode", "storage"),
    [("exact", "float32"), ("exact", "float16"), ("codes", "int8"), ("codes", "binary")],
)
@pytest.mark.parametrize("verify", [True, False])
def test_a_loaded_index_is_the_saved_one(metric, mode, storage, verify, rng, tmp_path):
    gallery = rng.standard_normal((5, 7), dtype=np.float32)
    built = GalleryIndex.build(
        gallery,
        metric,
        mode=mode,
        storage=storage,
        item_names=NAMES,
        labels=[2**60, -1, 0, 0, 1],
        network_sha256="5e",
    )
    built.save(tmp_path / "gallery.index")

    loaded = GalleryIndex.load(str(tmp_path / "gallery.index"), verify=verify)

    np.testing.assert_array_equal(loaded.labels, [2**60, -1, 0, 0, 1])
    assert list(loaded.item_names) == NAMES
    assert (loaded.settings, len(loaded), loaded.dimension) == (built.settings, 5, 7)
    assert loaded.bytes_by_part() == built.bytes_by_part()
    expected = built.search(gallery, 3, network_sha256="5e")
    found = loaded.search(gallery, 3, network_sha256="5e")
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_opening_copies_nothing_and_what_was_opened_goes_with_its_last_array(tmp_path):
    path = tmp_path / "gallery-that-is-mapped.index"
    GalleryIndex.build(np.ones((100, 16), np.float32)).save(path)

    def mappings():
        lines = Path("/proc/self/maps").read_text().splitlines()
        borders = [line.split()[0].split("-") for line in lines if path.name in line]
        return [(int(start, 16), int(end, 16)) for start, end in borders]

    rows = GalleryIndex.load(path).rows

    ((start, end),) = mappings()
    assert start < rows.ctypes.data < rows.ctypes.data + rows.nbytes <= end
    assert rows.ctypes.data % 64 == 0
    with pytest.raises(ValueError, match="WRITEABLE"):
        rows.flags.writeable = True
    del rows
    assert not mappings()


@pytest.mark.parametrize("ids", [[3, 5, 4, 9], [9, 4, 5, 3], [3, 4, 4, 9], [3, 4, 5, 10]])
def test_ids_that_another_writer_left_in_disorder_are_refused(ids, tmp_path):
    right, wrong = (np.array(one, "<i8").tobytes() for one in ([3, 4, 5, 9], ids))
    GalleryIndex.build_with(
        IndexSettings(), np.eye(4, dtype=np.float32), ids=[3, 4, 5, 9], first_id=3
    ).save(tmp_path / "altered.index")
    content = (tmp_path / "altered.index").read_bytes().replace(right, wrong)
    sha256 = hashlib.sha256(wrong).hexdigest()
    (tmp_path / "altered.index").write_bytes(with_header(content, section("ids", sha256=sha256)))

    with pytest.raises(BadIndexFile, match="its ids are not"):
        GalleryIndex.load(tmp_path / "altered.index")


def test_names_labels_and_items_may_all_be_missing(tmp_path):
    GalleryIndex.build(np.empty((0, 5), np.float16)).save(tmp_path / "empty.index")

    loaded = GalleryIndex.load(tmp_path / "empty.index")

    assert (loaded.item_names, loaded.labels, loaded.network_sha256) == (None, None, None)
    assert loaded.search(np.ones((1, 5), np.float32), 2).ids.tolist() == [[-1, -1]]


@settings(max_examples=300, derandomize=True)
@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
@example(position=8, flip=1)  # the version
@example(position=12, flip=1)  # the header's length
@example(position=19, flip=255)
def test_any_altered_byte_is_noticed(saved, position, flip):
    content, path = saved
    altered = bytearray(content)
    altered[position % len(content)] ^= flip
    path.write_bytes(altered)

    with pytest.raises(BadIndexFile, match=r"altered\.index"):
        GalleryIndex.load(path)


@settings(max_examples=300, derandomize=True)
@given(position=st.integers(0, 10_000), noise=st.binary(min_size=1, max_size=40))
def test_noise_that_nobody_looked_for_is_an_error_or_an_answer_but_no_crash(saved, position, noise):
    content, path = saved
    start = position % len(content)
    path.write_bytes((content[:start] + noise + content[start + len(noise) :])[: len(content)])

    try:
        index = GalleryIndex.load(path, verify=False)
        found = index.search(np.ones((2, 3), np.float32), 3)
        list(index.item_names)
    except KernelsError:
        return
    assert set(found.ids.ravel().tolist()) <= {-1, *index.ids.tolist()}


def test_any_missing_or_added_end_is_noticed_even_without_checksums(saved):
    content, path = saved
    lengths = [*range(0, len(content), 29), *range(len(content) - 70, len(content))]
    for altered in [*(content[:length] for length in lengths), content + b"\0"]:
        path.write_bytes(altered)
        with pytest.raises(BadIndexFile, match=r"altered\.index"):
            GalleryIndex.load(path, verify=False)


@pytest.mark.parametrize("version", [1, 3])
def test_another_version_says_so(saved, version):
    content, path = saved
    path.write_bytes(content[:8] + struct.pack("<I", version) + content[12:])
    with pytest.raises(BadIndexFile, match=f"of version 2, got version {version}.*build the index"):
        GalleryIndex.load(path)


def test_a_file_of_another_kind_says_so(tmp_path):
    (tmp_path / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(BadIndexFile, match=r"must begin with 'cmpcgidx', got .*PNG"):
        GalleryIndex.load(tmp_path / "cat.png")
    with pytest.raises(FileNotFoundError):
        GalleryIndex.load(tmp_path / "dog.png")


def with_header(content, change):
    """Return the file with another header whose checksum is right, as a foreign writer's is."""
    _, _, length, _ = struct.unpack_from("<8sIQ32s", content)
    header = json.loads(content[52 : 52 + length])
    change(header)
    header_json = json.dumps(header).encode()
    checksum = hashlib.sha256(header_json).digest()
    start = struct.pack("<8sIQ32s", b"cmpcgidx", 2, len(header_json), checksum) + header_json
    rest = content[-(-(52 + length) // 64) * 64 :]
    return start.ljust(-(-len(start) // 64) * 64, b"\0") + rest


def facts(**changes):
    return lambda header: header["facts"].update(changes)


def chosen(**changes):
    return lambda header: header["facts"]["settings"].update(changes)


def section(which, **changes):
    def change(header):
        next(entry for entry in header["sections"] if entry["name"] == which).update(changes)

    return change


@pytest.mark.parametrize(
    "change",
    [
        facts(dimension=4),
        facts(dimension=0),
        facts(dimension=2**61),
        facts(num_rows=3),
        facts(num_rows=-2),
        facts(num_rows=True),
        facts(first_id=4),
        facts(next_id=9),
        facts(extra=1),
        facts(settings=None),
        chosen(metric="ip"),
        chosen(metric="hamming"),
        chosen(mode="codes", storage="int8"),
        chosen(storage=None),
        chosen(storage="float16"),
        chosen(network_sha256=3),
        chosen(unit_queries="no"),
        chosen(colour="red"),
        section("rows", dtype="<i4"),
        section("rows", dtype="O"),
        section("rows", shape=[3, 2]),
        section("rows", shape=[-2, -3]),
        section("rows", shape=6),
        section("rows", offset=64),
        section("rows", name="labels"),
        section("rows", name="rose"),
        section("ids", dtype="<u8"),
        section("labels", shape=[1, 2]),
        section("name_ends", name="name_begins"),
        lambda header: header.pop("facts"),
        lambda header: header["sections"].pop(),
        lambda header: header["sections"].clear(),
        lambda header: header.update(sections={"a": 1}),
        lambda header: header.update(written_by=["cmpc"]),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(saved, change):
    content, path = saved
    path.write_bytes(with_header(content, lambda header: None))
    assert len(GalleryIndex.load(path)) == 1

    path.write_bytes(with_header(content, change))
    with pytest.raises(BadIndexFile, match=r"altered\.index"):
        GalleryIndex.load(path, verify=False)


def test_a_reader_that_knows_only_the_documented_layout_finds_the_rows(saved):
    content, _ = saved
    magic, version, length = struct.unpack_from("<8sIQ", content)
    header = json.loads(content[52 : 52 + length])
    start = (52 + length + 63) // 64 * 64
    sections = {}
    for entry in header["sections"]:
        count = int(np.prod(entry["shape"]))
        array = np.frombuffer(content, entry["dtype"], count, start + entry["offset"])
        assert hashlib.sha256(array.tobytes()).hexdigest() == entry["sha256"]
        sections[entry["name"]] = array.reshape(entry["shape"]).tolist()

    assert (magic, version) == (b"cmpcgidx", 2)
    assert header["facts"]["settings"]["metric"] == "l2"
    assert sections["rows"] == [[0, 1, 2], [3, 4, 5]]
    assert (sections["ids"], sections["is_removed"]) == ([3, 9], [0, 1])
    assert (sections["labels"], sections["name_ends"]) == ([3, -4], [1, 2])
    assert bytes(sections["name_text"]) == b"ab"


def test_a_failed_save_leaves_the_old_file_and_nothing_else(rng, tmp_path, monkeypatch):
    gallery = rng.standard_normal((4, 7), dtype=np.float32)
    path = tmp_path / "gallery.index"
    GalleryIndex.build(gallery[:1]).save(path)
    before = path.read_bytes()

    def full_disk(_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        GalleryIndex.build(gallery).save(path)

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_index_can_be_saved_over_the_file_it_is_mapped_from(rng, tmp_path):
    gallery = rng.standard_normal((20, 4), dtype=np.float32)
    path = tmp_path / "gallery.index"
    GalleryIndex.build(gallery).save(path)
    index = GalleryIndex.load(path)
    index.remove([3])
    index.compact()
    index.save(path)

    np.testing.assert_array_equal(GalleryIndex.load(path).rows, np.delete(gallery, 3, axis=0))


def test_a_file_says_which_version_wrote_it_and_an_old_one_says_nothing(saved):
    content, path = saved
    path.write_bytes(content)
    (file,) = GalleryIndex.load(path).stored_files
    assert file.written_by == f"cmpc {importlib.metadata.version('cmpc')}"
    assert (file.num_bytes, file.inode) == (len(content), path.stat().st_ino)

    path.write_bytes(with_header(content, lambda header: header.pop("written_by")))
    assert GalleryIndex.load(path).stored_files[0].written_by is None
    assert GalleryIndex.build(np.ones((1, 2), np.float32)).stored_files == ()


@pytest.mark.parametrize("storage", ["float32", "float16"])
@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
@pytest.mark.parametrize("folder", [False, True])
def test_codes_that_a_faulty_version_wrote_are_made_anew(folder, metric, storage, rng, tmp_path):
    gallery = rng.standard_normal((300, 24), dtype=np.float32)
    settings, path = IndexSettings(metric=metric, storage=storage), tmp_path / "shop"
    right = GalleryIndex.build_with(settings, gallery, ids=np.arange(300) * 2)
    right.remove([0, 8])
    expected = right.search(gallery, 5)
    wrong = GalleryIndex.build_with(settings, rng.permuted(gallery), ids=np.arange(300) * 2)
    wrong.remove([0, 8])
    wrong._rows._rows = right._rows._rows  # right rows under the codes of others
    if folder:
        faulty = ShardedIndex.build(path, gallery[:0], settings)
        faulty.shards = (wrong,)
        with changing_shards(path, faulty._manifest) as change:
            files = (change.save(wrong),)
            change.commit(replace(faulty._manifest, shards=files, next_id=600))
    else:
        wrong.save(path)

    faulty = open_index(path)
    rows = np.concatenate(faulty.stored_embeddings()) if folder else faulty.rows
    assert not np.array_equal(faulty.search(gallery, 5).ids, expected.ids)
    faulty.recode()
    if not folder:
        faulty.save(path)

    mended = open_index(path)
    found = mended.search(gallery, 5)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.scores, expected.scores)
    kept = np.concatenate(mended.stored_embeddings()) if folder else mended.rows
    assert kept.tobytes() == rows.tobytes()


def test_codes_without_rows_can_not_be_made_anew():
    index = GalleryIndex.build(np.eye(3, dtype=np.float32), mode="codes")

    with pytest.raises(BadArgument, match=r"must keep its rows .*; build it again"):
        index.recode()
