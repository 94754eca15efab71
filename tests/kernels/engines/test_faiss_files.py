"""Galleries that travel into FAISS files and back."""

import subprocess
import sys

import faiss
import numpy as np
import pytest

from cmpc_kernels import BadArgument, BadIndexFile, GalleryIndex, from_faiss, to_faiss

METRICS = ["cosine", "ip", "l2"]


@pytest.fixture
def gallery(rng):
    """2,000 rows around 40 centres: graphs and lists have something to find."""
    centres = rng.standard_normal((40, 24), dtype=np.float32)
    return centres[rng.integers(0, 40, 2000)] + 0.5 * rng.standard_normal((2000, 24)).astype("f4")


@pytest.fixture
def queries(gallery, rng):
    return gallery[:30] + 0.3 * rng.standard_normal((30, 24)).astype(np.float32)


@pytest.mark.parametrize("metric", METRICS)
def test_an_index_survives_the_trip_through_a_faiss_file(metric, gallery, queries, tmp_path):
    index = GalleryIndex.build(gallery, metric)
    to_faiss(index, tmp_path / "gallery.faiss")

    native = faiss.read_index(str(tmp_path / "gallery.faiss"))
    back = from_faiss(tmp_path / "gallery.faiss", metric=metric)

    unit = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    ids = native.search(unit if metric == "cosine" else queries, 5)[1]
    np.testing.assert_array_equal(ids, index.search(queries, 5).ids)
    found, expected = back.search(queries, 5), index.search(queries, 5)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5, atol=1e-6)
    assert back.metric == metric
    assert [path.name for path in tmp_path.iterdir()] == ["gallery.faiss"]


@pytest.mark.parametrize(
    ("factory", "atol"),
    [("IVF8,Flat", 0), ("SQ8", 0.02), ("SQfp16", 0.01), ("HNSW8", 0), ("IDMap,Flat", 0)],
)
def test_the_usual_faiss_files_can_be_read(factory, atol, gallery, tmp_path):
    native = faiss.index_factory(24, factory, faiss.METRIC_L2)
    if hasattr(native, "cp"):
        native.cp.min_points_per_centroid = 1
    native.train(gallery)
    ids = np.arange(2000)[::-1] * 3
    if factory == "IDMap,Flat":
        native.add_with_ids(gallery, ids)
    else:
        native.add(gallery)
    faiss.write_index(native, str(tmp_path / "other.faiss"))

    index = from_faiss(tmp_path / "other.faiss")

    expected = gallery[::-1] if factory == "IDMap,Flat" else gallery
    np.testing.assert_allclose(index.rows, expected, rtol=0, atol=atol)
    assert index.metric == "l2"
    np.testing.assert_array_equal(
        index.ids, np.sort(ids) if factory == "IDMap,Flat" else range(2000)
    )


def test_ids_given_to_an_ivf_file_are_kept(gallery, tmp_path):
    native = faiss.index_factory(24, "IVF4,Flat")
    native.train(gallery)
    native.add_with_ids(gallery[:3], np.array([70, 5, 60]))
    faiss.write_index(native, str(tmp_path / "ivf.faiss"))

    index = from_faiss(tmp_path / "ivf.faiss")

    assert index.ids.tolist() == [5, 60, 70]
    np.testing.assert_array_equal(index.rows, gallery[[1, 2, 0]])
    assert index.search(gallery[2:3], 1).ids.tolist() == [[60]]


def test_what_is_no_readable_faiss_file_is_refused(gallery, tmp_path):
    (tmp_path / "text").write_text("not an index")
    with pytest.raises(BadIndexFile, match="must be a FAISS index"):
        from_faiss(tmp_path / "text")

    native = faiss.index_factory(24, "PQ4x4")
    native.train(gallery)
    native.add(gallery)
    faiss.write_index(native, str(tmp_path / "codes"))
    with pytest.raises(BadIndexFile, match="got IndexPQ"):
        from_faiss(tmp_path / "codes")

    to_faiss(GalleryIndex.build(gallery), tmp_path / "long")
    with pytest.raises(BadArgument, match="must have length 1"):
        from_faiss(tmp_path / "long", metric="cosine")
    with pytest.raises(BadArgument, match="is searched by 'ip', got metric='l2'"):
        from_faiss(tmp_path / "long", metric="l2")


def test_a_full_disk_is_told_by_the_name_of_the_file(tmp_path):
    """A limit on the size of files stands in for the disk."""
    path = tmp_path / "shop.faiss"
    script = """
import resource, signal, sys
import numpy
from cmpc_kernels import GalleryIndex, to_faiss
index = GalleryIndex.build(numpy.ones((1000, 64), numpy.float32))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
try:
    to_faiss(index, sys.argv[1])
except OSError as error:
    print(error.strerror, error.filename, sep="|", end="")
"""
    command = [sys.executable, "-c", script, str(path)]

    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=60)

    assert told.stdout == f"File too large|{path}"
    assert not list(tmp_path.iterdir())
