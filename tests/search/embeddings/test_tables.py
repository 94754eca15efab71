"""What vector databases and scripts leave is read: arrays beside each other, and Parquet."""

import sys

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from cmpc_base.errors import MissingLibrary
from cmpc_search.embeddings import read_embeddings
from cmpc_search.errors import BadArgument, BadEmbeddings

ROWS = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)


def write_npz(path, **columns):
    np.savez(path.with_suffix(".npz"), **columns)
    return path.with_suffix(".npz")


def write_parquet(path, **columns):
    made = {
        name: list(values) if values.ndim == 2 else values.tolist()
        for name, values in columns.items()
    }
    parquet.write_table(pyarrow.table(made), path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


BOTH = pytest.mark.parametrize("write", [write_npz, write_parquet])


@BOTH
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "names", [("embeddings", "item_names", "labels"), ("vector", "id", "label")]
)
def test_rows_names_and_labels_are_found_by_their_columns(tmp_path, write, dtype, names):
    rows, ids, labels = names
    columns = {"price": np.array([1.5, 2, 3]), labels: np.array([4, 5, 4])}
    path = write(
        tmp_path / "some", **columns, **{rows: ROWS.astype(dtype), ids: np.array(["a", "b/ü", "c"])}
    )

    found = read_embeddings(path)

    assert found.rows.dtype == np.float32
    np.testing.assert_array_equal(found.rows, ROWS.astype(dtype).astype(np.float32))
    assert found.item_names == ("a", "b/ü", "c")
    np.testing.assert_array_equal(found.labels, [4, 5, 4])


@BOTH
def test_numbers_serve_as_ids_and_labels_may_lack(tmp_path, write):
    found = read_embeddings(write(tmp_path / "some", embedding=ROWS, ids=np.array([70, 8, 9])))

    assert (found.item_names, found.labels) == (("70", "8", "9"), None)


@BOTH
def test_a_list_of_names_may_lie_beside_a_file_without(tmp_path, write):
    (tmp_path / "ids.txt").write_text("x\ny\nz\n")
    bare = write(tmp_path / "bare", embeddings=ROWS)
    named = write(tmp_path / "named", embeddings=ROWS, id=np.array([1, 2, 3]))

    assert read_embeddings(bare, ids_path=tmp_path / "ids.txt").item_names == ("x", "y", "z")
    with pytest.raises(BadArgument, match="names its items itself"):
        read_embeddings(named, ids_path=tmp_path / "ids.txt")


def test_fixed_lists_are_read_as_lists_are(tmp_path):
    fixed = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(ROWS.ravel()), 2)
    parquet.write_table(pyarrow.table({"vector": fixed}), tmp_path / "some.parquet")

    np.testing.assert_array_equal(read_embeddings(tmp_path / "some.parquet").rows, ROWS)


@BOTH
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"rows": ROWS}, "must hold rows as one of embeddings, embedding, .*, it has rows"),
        ({"embeddings": ROWS.astype(np.int8)}, "must hold embeddings as floating-point numbers"),
        ({"embeddings": ROWS, "id": np.array(["a", "b", "a"])}, "got 'a' more than once"),
        ({"embeddings": ROWS, "label": np.array(["a", "b", "c"])}, "must be one integer for each"),
        ({"embeddings": np.full((2, 2), np.nan)}, "must be finite"),
    ],
)
def test_a_table_of_something_else_is_refused(tmp_path, write, columns, message):
    with pytest.raises(BadEmbeddings, match=message):
        read_embeddings(write(tmp_path / "some", **columns))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"vector": [[1.0, 2.0], [1.0]]}, "rows of one length"),
        ({"vector": [[1.0, 2.0], None]}, "rows of one length"),
        ({"vector": [[1.0, 2.0], [1.0, None]]}, "and 1 empty numbers"),
        ({"vector": [1.0, 2.0]}, "got a column of double"),
        ({"vector": [[1.0], [2.0]], "id": ["a", None]}, "a value of 'id' in each row, 1 lack it"),
    ],
)
def test_gaps_in_a_parquet_file_are_told(tmp_path, columns, message):
    parquet.write_table(pyarrow.table(columns), tmp_path / "some.parquet")

    with pytest.raises(BadEmbeddings, match=message):
        read_embeddings(tmp_path / "some.parquet")


def test_pickles_are_never_opened(tmp_path):
    path = write_npz(tmp_path / "some", embeddings=ROWS, id=np.array(["a", "b", "c"], dtype=object))

    with pytest.raises(BadEmbeddings, match=r"names as text \(np\.array\(names, dtype=str\)\)"):
        read_embeddings(path)


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"PAR1 and so on"])
def test_a_file_of_another_kind_is_refused(tmp_path, suffix, content):
    path = tmp_path / f"some{suffix}"
    path.write_bytes(content)

    with pytest.raises(BadEmbeddings, match="must be a"):
        read_embeddings(path)


def test_a_parquet_file_without_the_library_names_the_extra(tmp_path, monkeypatch):
    path = write_parquet(tmp_path / "some", vector=ROWS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(MissingLibrary, match=r"pip install 'cmpc\[parquet\]'"):
        read_embeddings(path)
