"""A gallery as a Lance dataset and back."""

import numpy as np
import pytest

from cmpc_kernels import BadArgument, BadIndexFile, EngineFault, GalleryIndex, from_lance, to_lance

lance = pytest.importorskip("lance", reason="needs the extra `lance`")
pa = pytest.importorskip("pyarrow", reason="needs the extra `lance`")


def test_a_gallery_goes_into_a_dataset_and_back(shop, rng, tmp_path):
    to_lance(shop, tmp_path / "shop.lance")

    back = from_lance(tmp_path / "shop.lance")

    assert back.query_contract() == shop.query_contract()
    np.testing.assert_array_equal(back.ids, shop.ids)
    assert list(back.item_names) == list(shop.item_names)
    np.testing.assert_array_equal(back.labels, shop.labels)
    queries = rng.standard_normal((5, 6), dtype=np.float32)
    found, expected = back.search(queries, 4), shop.search(queries, 4)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_lance_itself_finds_the_same(shop, rng, tmp_path):
    to_lance(shop, tmp_path / "shop.lance")
    query = rng.standard_normal(6, dtype=np.float32)

    nearest = {"column": "embedding", "q": query, "k": 3, "metric": "cosine"}
    table = lance.dataset(tmp_path / "shop.lance").to_table(nearest=nearest)

    assert table["id"].to_pylist() == shop.search(query[np.newaxis], 3).ids[0].tolist()


def test_an_export_is_the_next_version_of_the_same_gallery_alone(shop, tmp_path):
    path = tmp_path / "shop.lance"
    to_lance(shop, path)
    shop.remove([0])
    to_lance(shop, path)

    assert lance.dataset(path).count_rows() == 29
    assert lance.dataset(path, version=1).count_rows() == 30
    with pytest.raises(BadArgument, match="choose another name"):
        to_lance(GalleryIndex.build(np.eye(6, dtype=np.float32)), path)
    lance.write_dataset(pa.table({"id": [1]}), tmp_path / "other.lance")
    with pytest.raises(BadArgument, match="must say what its queries must be"):
        to_lance(shop, tmp_path / "other.lance")
    assert lance.dataset(tmp_path / "other.lance").count_rows() == 1


def test_what_others_append_in_any_order_is_read(shop, tmp_path):
    path = tmp_path / "shop.lance"
    to_lance(shop, path)
    schema = lance.dataset(path).schema
    rows = pa.array([[1.0] * 6, [2.0] * 6], schema.field("embedding").type)
    more = [pa.array([17, 3]), rows, pa.array(["b", "a"]), pa.array([1, 1])]
    lance.write_dataset(pa.Table.from_arrays(more, schema=schema), path, mode="append")

    back = from_lance(path)

    np.testing.assert_array_equal(back.ids, np.arange(32))
    assert back.names_of([3, 17]) == ["a", "b"]
    np.testing.assert_array_equal(back.rows[17], np.ones(6))


def test_what_is_no_gallery_is_refused(shop, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    for call in (from_lance, lambda path: to_lance(shop, path)):
        with pytest.raises(BadIndexFile, match="must be a Lance dataset"):
            call(tmp_path / "notes")
    with pytest.raises(BadIndexFile, match="none is there"):
        from_lance(tmp_path / "nothing.lance")

    path = tmp_path / "shop.lance"
    to_lance(shop, path)
    lance.dataset(path).drop_columns(["embedding"])
    with pytest.raises(BadIndexFile, match="of 6 float32 numbers"):
        from_lance(path)


def test_a_place_that_can_not_be_written_is_told(shop, tmp_path):
    (tmp_path / "file").write_text("x")

    with pytest.raises(EngineFault, match="must be there to be written"):
        to_lance(shop, tmp_path / "file" / "shop.lance")


def test_an_empty_gallery_goes_and_comes_back(tmp_path):
    to_lance(GalleryIndex.build(np.empty((0, 6), np.float32), "l2"), tmp_path / "empty.lance")

    back = from_lance(tmp_path / "empty.lance")

    assert (len(back), back.dimension, back.metric) == (0, 6, "l2")
