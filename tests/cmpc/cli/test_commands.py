"""What holds for every command: real help, an example, one wording, and pure JSON on request."""

import re
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from cmpc import __version__
from cmpc.cli import command_line
from cmpc.commands import COMMANDS


def leaves(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Yield a command, or the commands of a group."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for part in command.list_commands(context):
        found = command.get_command(context, part)
        assert found is not None
        yield from leaves(found, f"{name} {part}")


COMMAND_LINES = dict(leaves(command_line, "cmpc"))


@pytest.mark.parametrize("name", COMMAND_LINES)
def test_help_of_each_command_shows_an_example_that_names_it(name):
    result = CliRunner().invoke(command_line, [*name.split()[1:], "--help"])

    assert result.exit_code == 0
    assert re.search(rf"Examples?:(\n|.)*^ +{name}\b", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", COMMAND_LINES)
def test_each_option_says_what_it_is_for(name):
    options = [p for p in COMMAND_LINES[name].params if isinstance(p, click.Option)]

    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_itself_says(name):
    command = command_line.get_command(click.Context(command_line), name)

    assert command is not None
    assert command.help is not None
    first_sentence = " ".join(command.help.split("\n\n")[0].split())
    assert COMMANDS[name].short_help == first_sentence


def test_help_lists_every_command():
    listed = CliRunner().invoke(command_line, ["--help"]).stdout

    assert all(f"  {name} " in listed for name in COMMANDS)


def test_version_is_the_version_of_the_package():
    assert CliRunner().invoke(command_line, ["--version"]).stdout.split() == ["cmpc", __version__]


def test_an_unknown_command_names_the_nearest_one():
    result = CliRunner().invoke(command_line, ["docter"])

    assert result.exit_code == 2
    assert "'docter'; did you mean doctor?" in result.stderr


def test_a_name_like_no_command_lists_them_all():
    result = CliRunner().invoke(command_line, ["xylophone"])

    assert result.exit_code == 2
    assert ", ".join(COMMANDS) in result.stderr
