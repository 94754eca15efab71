"""No command takes from its user what it was not asked to replace."""

import os
import stat
from pathlib import Path

import click
import faiss
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cmpc.cli import command_line
from cmpc.cli.output_files import (
    FAISS,
    HTML,
    INDEX,
    NPY,
    PNG,
    SAFETENSORS,
    check_new_folder,
    check_output,
    pictures_of,
)
from cmpc.errors import BadOutput
from cmpc_kernels import GalleryIndex, to_faiss
from cmpc_search.embeddings import Embeddings, write_embeddings

ROWS = np.eye(4, dtype=np.float32)

# Each output of each command: what is typed, `OUT` for the output, and an input that it could hit.
OUTPUTS = {
    ("run", "embeddings_path"): ("run bundle in.npy --out OUT", "in.npy"),
    ("index build", "index_path"): ("index build in.npy --out OUT", "in.npy"),
    ("index to-faiss", "faiss_path"): ("index to-faiss in.index OUT", "in.index"),
    ("index from-lance", "index_path"): ("index from-lance photos OUT", "photos"),
    ("index from-faiss", "index_path"): ("index from-faiss in.faiss OUT", "in.faiss"),
    ("query", "picture"): ("query in.index in.png --bundle bundle --picture OUT", "in.png"),
    ("query", "certificate_path"): (
        "query in.index in.png --bundle bundle --certificate OUT",
        "in.png",
    ),
    ("data show", "sheet_path"): ("data show photos --out OUT", "photos/a/1.png"),
    ("data show", "csv"): ("data show photos.csv --out OUT", "photos/a/1.png"),
    ("profile", "html_path"): ("profile in.html --html OUT", "in.html"),
    ("pareto", "picture"): ("pareto run --picture OUT", "in.npy"),
    ("pipeline", "bundle_folder"): ("pipeline new --gallery gallery --out OUT", "photos"),
    ("evidence", "picture"): ("evidence run --picture OUT", "in.npy"),
    ("build", "bundle_folder"): ("build run --out OUT", "photos"),
    ("index build", "shards"): ("index build in.npy --rows-per-shard 2 --out OUT", "photos"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a file of each kind."""
    monkeypatch.chdir(tmp_path)
    for name in ("bundle", "run", "photos/a"):
        Path(name).mkdir(parents=True)
    np.save("in.npy", ROWS)
    write_embeddings(Path("in.safetensors"), Embeddings(rows=ROWS))
    index = GalleryIndex.build(ROWS, "l2")
    index.save("in.index")
    to_faiss(index, "in.faiss")
    Path("in.html").write_text("<!doctype html><html></html>")
    for name in ("in.png", "photos/a/1.png"):
        Image.new("RGB", (8, 8), "red").save(name)
    Path("photos.csv").write_text("path,label\nphotos/a/1.png,a\n")
    return tmp_path


def outputs_of(command, name=""):
    """Yield the outputs of a command and its subcommands: paths that need not be there."""
    for sub_name, sub in getattr(command, "commands", {}).items():
        yield from outputs_of(sub, f"{name} {sub_name}".strip())
    if isinstance(command, click.Group):
        return
    for param in command.params:
        if isinstance(param.type, click.Path) and not param.type.exists:
            yield name, param.name


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("spelling", ["the same", "dots", "link", "hard link"])
@pytest.mark.parametrize("output", OUTPUTS, ids=" ".join)
def test_no_command_writes_over_what_it_reads(output, spelling, folder):
    typed, given = OUTPUTS[output]
    if spelling == "hard link" and Path(given).is_dir():
        pytest.skip("folders have none")
    target = {"the same": given, "dots": f"photos/../{given}"}.get(
        spelling, f"other{Path(given).suffix}"
    )
    if spelling == "link":
        Path(target).symlink_to(given)
    elif spelling == "hard link":
        os.link(given, target)
    before = contents(folder)

    result = CliRunner().invoke(command_line, typed.replace("OUT", target).split())

    assert result.exit_code == 2, result.output
    assert target in result.stderr
    assert contents(folder) == before


def test_every_output_of_every_command_is_among_those_that_are_tried():
    places_of_their_own = {"folder", "run_folder", "cache_dir", "gallery_path"}
    found = {(name, param) for name, param in all_outputs() if param not in places_of_their_own}

    assert found == {output for output in OUTPUTS if output[1] not in ("csv", "shards")}


def all_outputs():
    context = click.Context(command_line)
    for name in command_line.list_commands(context):
        yield from outputs_of(command_line.get_command(context, name), name)


@pytest.mark.parametrize("kind", [FAISS, HTML, INDEX, NPY, PNG, SAFETENSORS], ids=lambda k: k.what)
def test_an_earlier_output_is_replaced_and_a_file_of_another_kind_is_not(kind, folder):
    own = [path for path in folder.glob("in.*") if path.suffix == kind.suffixes[0]]
    assert len(own) == 1

    check_output("--out", own[0], kind)
    for path in folder.glob("in.*"):
        disguised = folder / f"disguised{kind.suffixes[0]}"
        disguised.write_bytes(path.read_bytes())
        if path not in own:
            with pytest.raises(BadOutput, match=f"replaces {kind.what} only"):
                check_output("--out", disguised, kind)


def test_an_earlier_output_in_a_folder_that_is_read_is_replaced(folder):
    write_embeddings(Path("gallery/embeddings.safetensors"), Embeddings(rows=ROWS))
    building = ["index", "build", "gallery", "--out", "gallery/in.index"]

    for _ in range(2):
        result = CliRunner().invoke(command_line, building)
        assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("index build in.npy --out OUT", "out.index"),
        ("index to-faiss in.index OUT", "out.faiss"),
        ("index from-faiss in.faiss OUT", "out.index"),
    ],
)
def test_what_a_link_points_to_is_written_and_keeps_its_permissions(typed, name, folder):
    target = Path("photos") / name
    target.touch(0o600)
    Path(name).symlink_to(target)

    result = CliRunner().invoke(command_line, typed.replace("OUT", name).split())

    assert result.exit_code == 0, result.stderr
    assert Path(name).is_symlink()
    assert target.stat().st_size > 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_an_index_that_is_changed_through_a_link_stays_where_it_is(folder):
    Path("link").symlink_to("in.index")
    Path("in.index").chmod(0o600)

    result = CliRunner().invoke(command_line, ["index", "add", "link", "in.npy"])

    assert result.exit_code == 0, result.stderr
    assert Path("link").is_symlink()
    assert len(GalleryIndex.load("in.index")) == 8
    assert stat.S_IMODE(Path("in.index").stat().st_mode) == 0o600


def test_a_sheet_beside_the_class_folders_is_drawn_again(folder):
    Path("in.png").rename("photos/sheet.png")

    check_output("--out", Path("photos/sheet.png"), PNG, inputs=pictures_of("photos"))
    with pytest.raises(BadOutput, match=r"what the command reads, got photos/a/1\.png; name"):
        check_output("--out", Path("photos/a/1.png"), PNG, inputs=pictures_of("photos"))


def test_pictures_of_a_csv_file_are_kept_however_its_header_is_spaced(folder):
    Path("photos.csv").write_text("label, path\na,photos/a/1.png\n")

    with pytest.raises(BadOutput, match=r"what the command reads, got photos/a/1\.png; name"):
        check_output("--out", Path("photos/a/1.png"), PNG, inputs=pictures_of("photos.csv"))


def test_an_empty_file_is_free_to_be_written(folder):
    Path("new.png").touch()

    check_output("--picture", Path("new.png"), PNG)


@pytest.mark.parametrize("name", ["IN.NPY", "made.NPY", "new/folder/made.npy", "loose"])
def test_what_is_free_is_taken(name, folder):
    check_output("--out", Path(name), INDEX if name == "loose" else NPY, inputs=[Path("in.npy")])


@pytest.mark.parametrize(
    ("name", "kind"),
    [("found.jpg", PNG), ("found", PNG), ("emb.csv", NPY), ("x.npy", INDEX), ("x.html", FAISS)],
)
def test_a_name_that_promises_another_kind_is_refused(name, kind, folder):
    with pytest.raises(BadOutput, match=r"must end in \."):
        check_output("--out", Path(name), kind)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("photos", "is a folder"),
        ("pipe", "is a device or a pipe"),
        ("null", "is a device or a pipe"),
        ("in.png/x", "is a file"),
    ],
)
def test_what_can_not_be_written_is_told_before_the_work(name, message, folder):
    os.mkfifo("pipe")
    Path("null").symlink_to(os.devnull)

    with pytest.raises(BadOutput, match=message):
        check_output("--out", Path(name), INDEX)


def test_a_folder_of_other_files_is_not_mixed_with_new_ones(folder):
    Path("empty").mkdir()

    check_new_folder("--out", Path("empty"))
    check_new_folder("--out", Path("not/there/yet"))
    for name in ("photos", "in.npy", "in.npy/x"):
        with pytest.raises(BadOutput, match="must be"):
            check_new_folder("--out", Path(name))


def test_faiss_files_are_known_whatever_index_they_hold(folder):
    for description in ("Flat", "IDMap,Flat", "HNSW8,Flat", "IVF1,Flat", "SQ8", "LSH"):
        made = faiss.index_factory(4, description)
        made.train(ROWS)
        faiss.write_index(made, "other.faiss")

        check_output("FAISS", Path("other.faiss"), FAISS)
