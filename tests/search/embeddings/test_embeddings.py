"""What is written as embeddings is read back whole; a file that is something else is refused."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from cmpc.cli import command_line
from cmpc_kernels import GalleryIndex
from cmpc_search.embeddings import Embeddings, read_embeddings, write_embeddings
from cmpc_search.errors import BadArgument, BadEmbeddings

ROWS = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
WHOLE = Embeddings(
    rows=ROWS,
    item_names=("a/1", "b/ü", "c"),
    labels=np.array([4, 5, 4]),
    network_sha256="ab" * 32,
)


def test_names_labels_and_network_survive_the_file(tmp_path):
    write_embeddings(tmp_path / "some.safetensors", WHOLE)

    found = read_embeddings(tmp_path / "some.safetensors")

    np.testing.assert_array_equal(found.rows, ROWS)
    np.testing.assert_array_equal(found.labels, WHOLE.labels)
    assert (found.item_names, found.network_sha256) == (WHOLE.item_names, WHOLE.network_sha256)


def test_an_accent_written_in_two_ways_names_one_item_and_equal_bytes_come_first():
    composed, decomposed = "caf\u00e9/1.png", "cafe\u0301/1.png"
    rows = np.eye(3, dtype=np.float32)

    one = Embeddings(rows=rows, item_names=("a", decomposed, "b")).named([composed, "a"])
    both = Embeddings(rows=rows, item_names=(composed, decomposed, "b"))

    np.testing.assert_array_equal(one.rows, rows[[1, 0]])
    assert one.item_names == (composed, "a")
    np.testing.assert_array_equal(both.named([decomposed, composed]).rows, rows[[1, 0]])
    with pytest.raises(BadEmbeddings, match=r"1 have none, the first is 'cafe/1\.png'"):
        both.named(["cafe/1.png"])


def test_npy_holds_the_bare_rows(tmp_path):
    write_embeddings(tmp_path / "some.npy", WHOLE)

    np.testing.assert_array_equal(np.load(tmp_path / "some.npy", allow_pickle=False), ROWS)


def test_bare_rows_are_read_from_a_file_without_loading_it(tmp_path):
    write_embeddings(tmp_path / "some.npy", WHOLE)

    found = read_embeddings(tmp_path / "some.npy")

    assert isinstance(found.rows, np.memmap)
    np.testing.assert_array_equal(found.rows, ROWS)
    (tmp_path / "some.npy").write_bytes(b"and so on")
    with pytest.raises(BadEmbeddings, match="must be an array"):
        read_embeddings(tmp_path / "some.npy")


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ({"rows": ROWS}, {}, r"must hold a tensor `embeddings`, got \['rows'\]"),
        ({"embeddings": ROWS}, {"item_names": '["a"]'}, "name each of the 3 rows, got 1 names"),
        ({"embeddings": ROWS}, {"item_names": "a, b, c"}, "must be a JSON list"),
        ({"embeddings": ROWS}, {"item_names": '"abc"'}, "must be a JSON list of names"),
        ({"embeddings": ROWS}, {"item_names": '[["a"], "b", "c"]'}, "must be a JSON list of names"),
        ({"embeddings": ROWS}, {"item_names": '["a", "b", "a"]'}, "differently, got 'a' more than"),
        ({"embeddings": ROWS[0]}, {}, r"rows \[N, D\], got an array of shape \(2,\)"),
        ({"embeddings": ROWS, "labels": np.array([1, 2])}, {}, "one integer for each of the 3"),
        ({"embeddings": ROWS, "labels": np.array([1.0, 2, 3])}, {}, "one integer for each of"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(tmp_path, tensors, metadata, message):
    save_file(tensors, tmp_path / "some.safetensors", metadata)

    with pytest.raises(BadEmbeddings, match=message):
        read_embeddings(tmp_path / "some.safetensors")


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "some.safetensors"
    path.write_bytes(b"\x89PNG and so on")

    with pytest.raises(BadEmbeddings, match="must be a safetensors file"):
        read_embeddings(path)


def write_npy(path, numbers):
    np.save(path, numbers.numpy())


def write_safetensors(path, numbers):
    save_torch({"embeddings": numbers}, path)


FLOATS = [torch.float16, torch.float32, torch.float64]
NARROW = [torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2]
INTEGERS = [torch.int8, torch.uint8, torch.int64, torch.bool]


@pytest.mark.parametrize(
    ("write", "dtype"),
    [(write_npy, one) for one in FLOATS] + [(write_safetensors, one) for one in FLOATS + NARROW],
)
@pytest.mark.parametrize("command", [["index", "build"], ["gallery", "import"]])
def test_every_command_takes_floats_of_every_width(tmp_path, write, dtype, command):
    path = tmp_path / f"rows.{write.__name__.removeprefix('write_')}"
    numbers = torch.tensor([[1, 0.3], [-0.1, 1], [0.6, 0.8]], dtype=torch.float64).to(dtype)
    write(path, numbers)

    found = read_embeddings(path)

    assert found.rows.dtype == np.float32
    np.testing.assert_array_equal(found.rows, numbers.to(torch.float32).numpy())
    result = CliRunner().invoke(command_line, [*taken_by(command, path), "--json"])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("write", [write_npy, write_safetensors])
@pytest.mark.parametrize("command", [["index", "build"], ["gallery", "import"]])
def test_no_command_takes_integers_for_embeddings(tmp_path, write, dtype, command):
    path = tmp_path / f"rows.{write.__name__.removeprefix('write_')}"
    write(path, torch.ones((3, 2), dtype=dtype))

    result = CliRunner().invoke(command_line, taken_by(command, path))

    assert result.exit_code == 1
    assert "must hold embeddings as floating-point numbers, got" in result.output
    assert not (tmp_path / "out").exists()


def taken_by(command, path):
    """Name the rows a, b, c for a gallery; an index takes them as they are."""
    if command == ["index", "build"]:
        return [*command, str(path), "--out", str(path.parent / "out")]
    if path.suffix == ".safetensors":
        with safe_open(path, "pt") as file:
            tensor = file.get_tensor("embeddings")
        save_torch({"embeddings": tensor}, path, {"item_names": '["a", "b", "c"]'})
        named = []
    else:
        (path.parent / "ids.txt").write_text("a\nb\nc\n")
        named = ["--ids", str(path.parent / "ids.txt")]
    return [*command, str(path.parent / "out"), "--embeddings", str(path), *named]


@pytest.mark.parametrize("value", [1e300, np.inf, np.nan])
def test_numbers_that_are_not_finite_in_float32_are_refused_by_row(tmp_path, value):
    rows = ROWS.astype(np.float64)
    rows[1, 0] = value
    np.save(tmp_path / "rows.npy", rows)

    with pytest.raises(
        BadEmbeddings, match=r"rows\.npy must be finite, got NaN or infinity for row 1$"
    ):
        read_embeddings(tmp_path / "rows.npy")


def test_numbers_in_another_byte_order_are_the_same_numbers(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS.astype(">f4"))

    found = read_embeddings(tmp_path / "rows.npy").rows

    assert found.dtype.isnative
    np.testing.assert_array_equal(found, ROWS)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"rows"])
def test_a_file_that_is_no_array_is_refused(tmp_path, content):
    (tmp_path / "bad.npy").write_bytes(content)

    with pytest.raises(BadEmbeddings, match=r"must be an array as np\.save writes it"):
        read_embeddings(tmp_path / "bad.npy")


@pytest.mark.parametrize("name", ["some.NPY", "some.npy"])
def test_the_case_of_a_suffix_is_no_matter(tmp_path, name):
    write_embeddings(tmp_path / name, WHOLE)

    np.testing.assert_array_equal(np.load(tmp_path / name, allow_pickle=False), ROWS)
    np.testing.assert_array_equal(read_embeddings(tmp_path / name).rows, ROWS)


def test_embeddings_are_not_written_under_the_name_of_something_else(tmp_path):
    with pytest.raises(BadArgument, match=r"must be named \.safetensors or \.npy, got 'some\.csv'"):
        write_embeddings(tmp_path / "some.csv", WHOLE)
    assert not (tmp_path / "some.csv").exists()


def test_an_index_finds_what_the_gallery_folder_holds(tmp_path):
    write_embeddings(tmp_path / "gallery" / "embeddings.safetensors", WHOLE)
    arguments = ["index", str(tmp_path / "gallery"), "--out", str(tmp_path / "g.index"), "--json"]

    result = CliRunner().invoke(command_line, arguments)

    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert (document["num_items"], document["dimension"]) == (3, 2)
    index = GalleryIndex.load(tmp_path / "g.index")
    nearest = index.search(np.array([[0.5, 0.9]], np.float32), 3).ids[0]
    assert [index.item_names[number] for number in nearest] == ["c", "b/ü", "a/1"]
    assert index.network_sha256 == WHOLE.network_sha256


def test_embeddings_that_are_not_numbers_are_the_users_error_not_a_bug(tmp_path):
    broken = Embeddings(rows=np.full((2, 2), np.nan, np.float32))
    write_embeddings(tmp_path / "some.safetensors", broken)
    arguments = ["index", str(tmp_path / "some.safetensors"), "--out", str(tmp_path / "g.index")]

    result = CliRunner().invoke(command_line, arguments)

    assert result.exit_code == 1
    assert "must be finite, got NaN or infinity for row 0, row 1" in result.stderr
    assert not (tmp_path / "g.index").exists()


@pytest.mark.parametrize(("metric", "is_refused"), [("cosine", True), ("l2", False)])
def test_a_row_of_zeros_is_no_neighbour_by_angle(tmp_path, metric, is_refused):
    for name, value in [("good", 1.0), ("zero", 0.0)]:
        rows = np.full((2, 2), value, np.float32)
        named = (f"{name}/a", f"{name}/b")
        write_embeddings(tmp_path / f"{name}.safetensors", Embeddings(rows=rows, item_names=named))
    index, good, zero = (
        str(tmp_path / name) for name in ("g.index", "good.safetensors", "zero.safetensors")
    )
    built = ["index", "build", good, "--out", index, "--metric", metric]
    assert CliRunner().invoke(command_line, built).exit_code == 0

    for command in (["build", zero, "--out", index, "--metric", metric], ["add", index, zero]):
        result = CliRunner().invoke(command_line, ["index", *command])

        assert result.exit_code == (1 if is_refused else 0), result.output
        assert (
            "not all zeros, got NaN, infinity or zeros for 'zero/a', 'zero/b'" in result.output
        ) == is_refused
        CliRunner().invoke(command_line, built)
