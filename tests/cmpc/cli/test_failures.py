"""An error becomes a message on stderr and an exit code, whichever package raised it."""

import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
from safetensors import SafetensorError

from cmpc.cli import command_line
from cmpc.cli.failures import as_click_error
from cmpc.cli.group import CmpcGroup
from cmpc.errors import BadSettings
from cmpc_base.libraries import EXTRA_OF_LIBRARY
from cmpc_cost_models.errors import BadBundle, DeviceUnreachable
from cmpc_kernels.errors import BadArgument, BadIndexFile
from cmpc_search.errors import BudgetNotMet


def group_that_raises(error: BaseException) -> click.Group:
    """Make a command line whose only command fails in this way."""

    @click.group(cls=CmpcGroup)
    @click.option("--debug", is_flag=True)
    def tool(debug: bool) -> None:
        pass

    @click.command()
    def fail() -> None:
        click.echo("data")
        raise error

    tool.get_command = lambda ctx, cmd_name: fail
    return tool


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (BadSettings("what must hold"), 2),
        (BadArgument("what must hold"), 2),
        (BadIndexFile("what must hold"), 1),
        (BadBundle("what must hold"), 1),
        (BudgetNotMet("what must hold"), 3),
        (DeviceUnreachable("what must hold"), 4),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_our_errors_become_their_own_words_and_exit_code(error, exit_code):
    result = CliRunner().invoke(group_that_raises(error), ["doctor"])

    assert result.exit_code == exit_code
    assert result.stderr == "Error: what must hold\n"
    assert result.stdout == "data\n"


def test_a_name_that_is_no_text_is_named_and_is_no_bug():
    try:
        os.fsdecode(b"caf\xe9.png").encode()
    except UnicodeEncodeError as error:
        result = CliRunner().invoke(group_that_raises(error), ["doctor"])

    assert result.exit_code == 2
    assert r"must be text in UTF-8 here, got caf\xe9.png" in result.stderr


@pytest.mark.parametrize("word", [b"caf\xe9", b"--gallery=caf\xe9"])
def test_a_folder_whose_name_is_no_text_is_refused_before_a_library_looks_elsewhere(word):
    result = CliRunner().invoke(command_line, ["search", os.fsdecode(word)])

    assert result.exit_code == 2
    assert r"caf\xe9; rename it" in result.stderr


def test_a_working_folder_whose_name_is_no_text_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    monkeypatch.chdir(folder)

    assert CliRunner().invoke(command_line, ["train", "run"]).exit_code == 2
    assert "folders in UTF-8 only" in CliRunner().invoke(command_line, ["train", "run"]).stderr


def test_a_renaming_that_fails_is_told_by_the_name_that_was_wanted():
    error = OSError(13, "Permission denied", "bundles/.emoji-x3k", None, "bundles/emoji")

    assert as_click_error(error).message == "bundles/emoji: Permission denied"


def test_ctrl_c_exits_with_130():
    result = CliRunner().invoke(group_that_raises(KeyboardInterrupt()), ["doctor"])

    assert (result.exit_code, result.stderr) == (130, "Error: interrupted\n")


def test_an_unforeseen_error_is_one_line_that_owns_up_to_a_bug():
    result = CliRunner().invoke(group_that_raises(IndexError("list\nindex")), ["doctor"])

    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "bug in cmpc (IndexError: list index)" in result.stderr
    assert "--debug" in result.stderr


def test_no_address_of_an_object_is_in_a_message():
    assert "0x" not in as_click_error(TypeError(f"no JSON form of {object()}")).message


def test_debug_shows_the_traceback_before_the_message():
    result = CliRunner().invoke(group_that_raises(IndexError("oops")), ["--debug", "doctor"])

    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Error: this is a bug")


def test_a_full_disk_is_not_called_a_bug():
    result = CliRunner().invoke(
        group_that_raises(OSError(28, "No space left on device", "/runs/a")), ["doctor"]
    )

    assert (result.exit_code, result.stderr) == (1, "Error: /runs/a: No space left on device\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "memory is exhausted"),
        (RuntimeError("can't allocate memory: you tried 4 bytes"), "can't allocate memory"),
        (SafetensorError("I/O error: No space left (os error 28)"), "os error 28"),
    ],
    ids=repr,
)
def test_what_a_library_says_of_a_machine_at_its_end_is_not_called_a_bug(error, said):
    result = CliRunner().invoke(group_that_raises(error), ["doctor"])

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the machine refused what this needs: ")
    assert said in result.stderr


@pytest.mark.parametrize("library", ["torch", "tvm"])
def test_a_missing_library_names_the_extra_that_brings_it(library):
    error = ModuleNotFoundError(f"No module named '{library}.nn'", name=f"{library}.nn")

    shown = as_click_error(error)

    assert shown.exit_code == 2
    assert f"pip install 'cmpc[{EXTRA_OF_LIBRARY[library]}]'" in shown.message


def test_a_closed_pipe_ends_quietly():
    script = "from cmpc.cli import command_line; command_line(['doctor', '--quick'])"
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        run = subprocess.run(
            [sys.executable, "-c", script], stdout=closed, stderr=subprocess.PIPE, text=True
        )

    assert "bug" not in run.stderr
    assert "Traceback" not in run.stderr


def cmpc(*arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE):
    return subprocess.run(
        [sys.executable, "-m", "cmpc", *arguments], stdout=stdout, stderr=stderr, text=True
    )


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["--help"], 1, "No space left on device"),
        (["--version"], 1, "No space left on device"),
        (["data", "--help"], 1, "No space left on device"),
        (["data", "list"], 1, "the answer must be written to standard output, and can't be"),
        (["data", "list", "--json"], 1, "the answer must be written to standard output"),
    ],
    ids=str,
)
def test_a_full_device_for_the_answer_is_told_in_one_line(arguments, exit_code, said):
    with open("/dev/full", "w") as full:
        run = cmpc(*arguments, stdout=full)

    assert run.returncode == exit_code
    assert run.stderr.count("\n") == 1
    assert said in run.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code"), [(["docter"], 2), (["run", "nowhere", "x.png"], 2), (["--help"], 0)]
)
def test_talk_that_nobody_can_hear_changes_no_exit_code(arguments, exit_code):
    with open("/dev/full", "w") as full:
        assert cmpc(*arguments, stderr=full).returncode == exit_code
