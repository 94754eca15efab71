"""An index is read to be verified once, and again as soon as it may be another."""

from pathlib import Path

import numpy as np
import pytest

from cmpc_base.cache import Cache
from cmpc_kernels import BadIndexFile, GalleryIndex, ShardedIndex, open_index, open_verified
from cmpc_kernels.gallery import index_file
from cmpc_kernels.gallery.index_file import IndexFile

ROWS = np.eye(3, 4, dtype=np.float32)


@pytest.fixture(params=["file", "folder"])
def shop(request, tmp_path):
    path = tmp_path / "shop"
    if request.param == "file":
        GalleryIndex.build(ROWS).save(path)
    else:
        ShardedIndex.build(path, ROWS, rows_per_shard=2)
    return path


@pytest.fixture
def read(monkeypatch):
    """Which files were read to be verified."""
    names, sha256_of = [], index_file.sha256_of
    monkeypatch.setattr(index_file, "sha256_of", lambda array: names.append(1) or sha256_of(array))
    return names


def test_an_index_is_read_to_be_verified_once_and_again_when_it_changed(shop, read, tmp_path):
    cache = Cache(tmp_path / "cache")
    for num_read in (True, False, False):
        assert len(open_verified(shop, cache)) == 3
        assert bool(read) == num_read
        read.clear()
    num_arrays = sum(len(IndexFile.open(path).sections) for path in files_of(shop))
    index = open_index(shop, verify=False)
    index.add(ROWS[:1])
    if isinstance(index, GalleryIndex):
        index.save(shop)
    read.clear()

    assert len(open_verified(shop, cache)) == 4
    assert 0 < len(read) <= num_arrays
    read.clear()
    open_verified(shop, cache)
    assert not read
    assert len(list(cache.verified.iterdir())) == 1


def test_an_altered_index_is_refused_although_it_was_verified_before(shop, tmp_path):
    cache = Cache(tmp_path / "cache")
    open_verified(shop, cache)
    path = files_of(shop)[0]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    for _ in range(2):
        with pytest.raises(BadIndexFile, match="does not match its checksum"):
            open_verified(shop, cache)


def test_where_nothing_can_be_remembered_an_index_is_verified_each_time(shop, read, tmp_path):
    (tmp_path / "cache").write_text("a file")
    for _ in range(2):
        open_verified(shop, Cache(tmp_path / "cache"))
        assert read
        read.clear()


def test_without_a_cache_it_is_remembered_in_the_users(shop, read, tmp_path, monkeypatch):
    monkeypatch.delenv("CMPC_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    open_verified(shop)
    monkeypatch.setenv("CMPC_CACHE", str(tmp_path / "cache"))
    open_verified(str(shop))
    assert (tmp_path / "home/.cache/cmpc/verified").is_dir()
    assert (tmp_path / "cache/verified").is_dir()
    read.clear()

    assert len(open_verified(shop)) == 3
    assert not read


def test_a_user_without_a_home_verifies_each_time(shop, read, monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("CMPC_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    for _ in range(2):
        open_verified(shop)
        assert read
        read.clear()


def files_of(shop):
    return sorted(shop.glob("shard-*")) if shop.is_dir() else [shop]
