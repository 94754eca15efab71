"""A gallery is made where nothing else lies, by one process at a time, and again after a kill."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from cmpc.cli import command_line
from cmpc_base import locks
from cmpc_search.errors import BadArgument, BadGallery
from cmpc_search.gallery import GallerySources, import_gallery, making, open_gallery

HOLD = """
import pathlib, sys
from cmpc_base.locks import exclusive
with exclusive(pathlib.Path(sys.argv[1]), doing=""):
    print("held", flush=True)
    sys.stdin.readline()
"""


class Killed(BaseException):
    """What no code catches; nothing is tidied up after it."""


@pytest.mark.parametrize("name", ["network.onnx", "embeddings.safetensors", "notes.txt"])
@pytest.mark.parametrize("command", ["train", "import"])
def test_a_folder_with_files_of_others_is_refused_and_left_alone(
    tmp_path, onnx_path, name, command
):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / name).write_text("mine")
    given = {"train": ["--data", "none"], "import": ["--network", str(onnx_path)]}[command]

    result = CliRunner().invoke(command_line, ["gallery", command, str(folder), *given])

    assert result.exit_code == 2
    assert f"a gallery must be a new or empty folder, {folder} holds {name}; name" in result.output
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [(name, "mine")]


@pytest.mark.parametrize("at", ["write_embeddings", "write_json"])
def test_a_killed_import_can_be_given_again(tmp_path, onnx_path, image_set, monkeypatch, at):
    def die(*_):
        raise Killed

    sources, folder = GallerySources(onnx_path=onnx_path), tmp_path / "shop"
    with monkeypatch.context() as patched:
        patched.setattr(f"cmpc_search.gallery.importing.{at}", die)
        with pytest.raises(Killed):
            import_gallery(folder, sources, load_images=lambda _: image_set)
    with pytest.raises(BadGallery, match="its making has not ended; give the command"):
        open_gallery(folder)

    again = import_gallery(folder, sources)

    assert sorted(path.name for path in folder.iterdir()) == ["gallery.json", "network.onnx"]
    assert again.has_network


def test_an_import_that_is_killed_while_it_embeds_leaves_nothing(tmp_path, onnx_path, image_set):
    def die(*_):
        raise Killed

    sources = GallerySources(onnx_path=onnx_path)
    with pytest.raises(Killed):
        import_gallery(tmp_path / "shop", sources, load_images=lambda _: image_set, progress=die)
    assert not (tmp_path / "shop").exists()


def test_a_misspelt_data_set_leaves_nothing_behind(tmp_path, onnx_path):
    arguments = ["gallery", "import", str(tmp_path / "shop"), "--network", str(onnx_path)]
    misspelt = [*arguments, "--data", str(tmp_path / "shp.csv"), "--json"]

    assert CliRunner().invoke(command_line, misspelt).exit_code == 2
    assert not (tmp_path / "shop").exists()
    result = CliRunner().invoke(command_line, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["data"] is None


def test_a_second_process_waits_and_says_for_whom(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE_S", 0.05)
    folder = tmp_path / "shop"
    folder.mkdir()
    marker = folder / ".unfinished"
    command = [sys.executable, "-c", HOLD, str(marker)]
    heard = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"

        def on_wait(notice):
            heard.append(notice)
            other.stdin.close()

        with making(folder, on_wait=on_wait):
            assert heard == [f"waiting for process {other.pid}, which makes {folder}"]


def test_a_gallery_that_another_process_made_meanwhile_is_left_alone(tmp_path, onnx_path):
    sources = GallerySources(onnx_path=onnx_path)
    import_gallery(tmp_path / "shop", sources)

    with pytest.raises(BadArgument, match="must not be a gallery yet"), making(tmp_path / "shop"):
        pytest.fail("the folder was taken")
