"""docs/index-format.md says what files hold and what they answer, and all of it is so."""

import json
import math
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cmpc_kernels import GalleryIndex, IndexSettings, certify, open_index
from cmpc_kernels.gallery.index_file import PREFIX, VERSION, IndexFile

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
PAGE = (HERE.parents[2] / "docs" / "index-format.md").read_text(encoding="utf-8")
ANSWERS = json.loads((GOLDEN / "answers.json").read_text(encoding="utf-8"))
CONDITIONS = {  # when sections are there, by the index and the facts of its file
    "always": lambda index, of: True,
    "in exact mode": lambda index, of: index.settings.mode == "exact",
    "if ids have gaps": lambda index, of: of["num_rows"] < of["next_id"] - of["first_id"],
    "if a row was removed": lambda index, of: len(index) < of["num_rows"],
    "if items have labels": lambda index, of: index.labels is not None,
    "if items have names": lambda index, of: index.item_names is not None,
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The golden files as they are written today."""
    folder = tmp_path_factory.mktemp("golden")
    runpy.run_path(str(GOLDEN / "make.py"))["write_files"](folder)
    return folder


def table(first_column):
    """Return the rows of the page's table whose first column has this title, cells as text."""
    _, found = PAGE.split(f"\n| {first_column} |", 1)
    lines = found.split("\n\n")[0].splitlines()[2:]
    return [
        [cell.strip().strip("`").replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines
    ]


def keys_of(value, prefix=""):
    """Return the keys of a JSON value, as the page writes them."""
    if isinstance(value, dict):
        dot = prefix and f"{prefix}."
        return set().union(*(keys_of(part, f"{dot}{key}") for key, part in value.items()))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return set().union(*(keys_of(part, f"{prefix}[]") for part in value))
    return {prefix}


def lengths_of(index, file):
    """Return what the page's letters for lengths stand for."""
    is_binary, num_rows = index.settings.storage == "binary", file.facts["num_rows"]
    num_vectors = math.ceil(index.dimension / (32 if is_binary else 8))
    return {
        "G": num_rows,
        "D": index.dimension,
        "B": math.ceil(num_rows / 16),
        "V": num_vectors,
        "R": 0 if is_binary else num_vectors,
        "F": 16 if index.metric == "l2" else 0,
        "E": 2 if is_binary else 4,
        "T": file.sections["name_ends"][-1] if index.item_names else 0,
    }


def test_a_reader_made_of_the_page_alone_gives_the_golden_ids_and_bits_of_scores():
    """It runs where nothing but the standard library can be imported."""
    command = [sys.executable, "-I", "-S", HERE / "index_reader.py", GOLDEN]
    run = subprocess.run(command, capture_output=True, text=True, check=True)

    assert json.loads(run.stdout) == ANSWERS["answers"]


@pytest.mark.parametrize("name", ANSWERS["answers"])
def test_golden_files_are_answered_as_ever(name):
    query_QD = np.array(
        [[int(word, 16) for word in query.split()] for query in ANSWERS["queries"]], np.uint32
    ).view(np.float32)

    found = open_index(GOLDEN / name).search(query_QD, ANSWERS["k"])

    ids = [" ".join(map(str, row)) for row in found.ids.tolist()]
    bits = [
        " ".join(f"{word:08x}" for word in row) for row in found.scores.view(np.uint32).tolist()
    ]
    assert {"ids": ids, "scores": bits} == ANSWERS["answers"][name]


def test_codes_alone_have_the_mode_codes_and_had_another_name_once():
    """These golden files are of then."""
    for name in ("l2-int8.index", "cosine-binary.index"):
        assert IndexFile.open(GOLDEN / name).facts["settings"]["mode"] == "fast"
        assert open_index(GOLDEN / name).settings.mode == "codes"
    assert IndexSettings(mode="fast") == IndexSettings(mode="codes", storage="int8")


def test_the_page_has_the_prefix_and_the_header_of_what_is_written_today(written):
    rows, keys = table("offset"), {key for key, *_ in table("key")}

    sizes = [int(num_bytes) for _, num_bytes, *_ in rows[:-1]]
    assert [int(offset) for offset, *_ in rows] == [sum(sizes[:n]) for n in range(len(rows))]
    assert (sum(sizes), rows[1][-1]) == (PREFIX.size, f"version: {VERSION}")
    for path in written.rglob("*.index"):
        content = path.read_bytes()
        header = json.loads(content[52 : 52 + int.from_bytes(content[12:20], "little")])
        assert keys_of(header) == keys, path.name


def test_the_page_has_the_sections_of_what_is_written_today(written):
    for path in written.rglob("*.index"):
        file, index = IndexFile.open(path), open_index(path)
        lengths, left = lengths_of(index, file), dict(file.sections)
        for name, dtypes, shape, there, _ in table("section"):
            if not CONDITIONS[there](index, file.facts):
                continue
            array = left.pop(name)
            axes = shape.strip("[]").split(", ")
            assert array.dtype.str in dtypes.replace("`", "").split(" or "), (path.name, name)
            assert list(array.shape) == [int(lengths.get(axis, axis)) for axis in axes], path.name
        assert not left, path.name


@pytest.mark.parametrize("mode", ["ivf", "hnsw"])
def test_the_page_has_what_faiss_makes_of_rows(mode, tmp_path):
    rows = np.random.default_rng(0).standard_normal((200, 12), dtype=np.float32)
    GalleryIndex.build(rows, "l2", mode=mode).save(tmp_path / "shop.index")

    sections = dict(IndexFile.open(tmp_path / "shop.index").sections)

    np.testing.assert_array_equal(sections.pop("rows"), rows)
    lengths = {"G": 200, "D": 12, "1": 1}
    for name, of_mode, dtype, shape, _ in table("array"):
        if mode in of_mode:
            array = sections.pop(name)
            axes = shape.strip("[]").split(", ")
            assert array.dtype.str == dtype.strip("`")
            for axis, length in zip(axes, array.shape, strict=True):
                assert lengths.get(axis, length) == length
            if name == "codes.neighbors":
                levels = IndexFile.open(tmp_path / "shop.index").sections["codes.levels"]
                assert len(array) == (64 + 32 * (levels - 1)).sum()
    assert not sections


def test_the_page_has_the_manifest_that_is_written_today(written):
    manifest = json.loads((written / "l2-shards" / "manifest-3.json").read_text())
    settings = manifest.pop("settings")

    assert keys_of(manifest) | {"settings"} == {key for key, *_ in table("key of a manifest")}
    assert settings == IndexFile.open(next(written.rglob("shard-*"))).facts["settings"]


def test_the_page_has_what_a_certificate_tells(tmp_path):
    rows = np.eye(4, dtype=np.float32)
    GalleryIndex.build(rows).save(tmp_path / "shop.index")
    found = open_index(tmp_path / "shop.index").search(rows, 2)

    certify(tmp_path / "shop.index", rows, found).save(tmp_path / "why.json")

    told = json.loads((tmp_path / "why.json").read_text())
    assert keys_of(told) == {key for key, *_ in table("key of a certificate")}


def test_what_is_written_today_of_the_golden_rows_is_what_the_golden_files_hold(written):
    """But for the bounds of codes, which each processor sums as it does fastest."""
    for path in GOLDEN.glob("*.index"):
        now, then = (IndexFile.open(one).checksums for one in (written / path.name, path))
        assert now.keys() == then.keys()
        differing = {name for name in then if now[name] != then[name]}
        assert differing <= {"codes.bounds"}, path.name


def test_the_example_is_the_golden_file():
    content = (GOLDEN / "l2-float32.index").read_bytes()
    lines = re.findall(r"^    ([0-9a-f]{8})  ((?:[0-9a-f]{2} +){16})\|", PAGE, re.MULTILINE)
    length = int.from_bytes(content[12:20], "little")
    header = re.sub(r"([0-9a-f]{8})[0-9a-f]{56}", r"\1...", content[52 : 52 + length].decode())

    assert len(lines) > 5
    for offset, digits in lines:
        at = int(offset, 16)
        assert bytes.fromhex(digits) == content[at : at + 16]
    example = PAGE.split("```json\n")[1].split("```")[0]
    assert json.loads(example) == json.loads(header)
