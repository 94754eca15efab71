"""What holds for every command: real help, an example, one wording, and pure JSON on request."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import click
import pytest
from click.testing import CliRunner

from cmpc import __version__
from cmpc.cli import command_line
from cmpc.commands import COMMANDS
from cmpc.settings.resolution import key_paths
from cmpc_search.stages.settings import (
    GallerySettings,
    PipelineSearchSettings,
    PipelineSettings,
    SearchSettings,
    TrainSettings,
)


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
SETTINGS_FLAGS = {
    name: {"_".join(path) for model in models for path in key_paths(model)}
    for name, *models in (
        ("cmpc search", SearchSettings),
        ("cmpc train", TrainSettings),
        ("cmpc gallery train", GallerySettings),
        ("cmpc pipeline", GallerySettings, SearchSettings, PipelineSettings),
    )
}

DEFAULTS = {
    "cmpc search": SearchSettings(),
    "cmpc gallery train": GallerySettings(),
    "cmpc pipeline": PipelineSearchSettings(),
}
TAKEN_FROM_ELSEWHERE = {("cmpc search", "data")}  # the gallery's, where nobody names others


@pytest.mark.parametrize("name", COMMAND_LINES)
def test_help_of_each_command_shows_an_example_that_names_it(name):
    result = CliRunner().invoke(command_line, [*name.split()[1:], "--help"])

    assert result.exit_code == 0
    assert re.search(rf"Examples?:(\n|.)*^ +{name}\b", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", COMMAND_LINES)
def test_each_option_says_what_it_is_for(name):
    options = [p for p in COMMAND_LINES[name].params if isinstance(p, click.Option)]

    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_default_that_help_tells_is_that_of_the_settings(name):
    options = [p for p in COMMAND_LINES[name].params if isinstance(p, click.Option)]
    told = {p.name: re.search(r"\[default: (.+)\]", p.help) for p in options if p.help}
    values = {field: getattr(DEFAULTS[name], field, None) for field in told}
    plain = {
        field
        for field, value in values.items()
        if isinstance(value, str | int | float) and (name, field) not in TAKEN_FROM_ELSEWHERE
    }

    assert len(plain) >= 4
    assert {field: told[field] and told[field][1] for field in plain} == {
        field: str(values[field]) for field in plain
    }


def test_a_command_or_an_option_comes_and_goes_on_purpose_only():
    """Scripts of users hold these words: whoever changes one changes the list beside this file."""
    frozen = Path(__file__).with_name("command_lines.txt").read_text(encoding="utf-8")

    found = [
        " ".join([name, *(word for parameter in command.params for word in spelt(parameter))])
        for name, command in COMMAND_LINES.items()
    ]

    assert found == frozen.splitlines()


def spelt(parameter: click.Parameter) -> list[str]:
    if isinstance(parameter, click.Argument):
        return [parameter.metavar or parameter.human_readable_name]
    return [*parameter.opts, *parameter.secondary_opts]


def record_of(command: click.Command) -> type | None:
    """Return the record that a command's options are filled into, if it has so many."""
    if not hasattr(command.callback, "__wrapped__"):
        return None
    [options] = inspect.signature(command.callback.__wrapped__).parameters.values()
    return options.annotation


RECORDS = {name: record_of(command) for name, command in COMMAND_LINES.items()}


@pytest.mark.parametrize("name", [name for name, record in RECORDS.items() if record is None])
def test_a_command_without_a_record_has_few_options(name):
    assert len(inspect.signature(COMMAND_LINES[name].callback).parameters) <= 5


@pytest.mark.parametrize("name", [name for name, record in RECORDS.items() if record])
def test_a_record_of_options_holds_all_that_is_no_setting_and_none_where_nothing_is_typed(name):
    hints = get_type_hints(RECORDS[name])
    parameters = {one.name: one for one in COMMAND_LINES[name].params if one.expose_value}
    context = click.Context(COMMAND_LINES[name])

    assert hints.keys() <= parameters.keys()
    assert parameters.keys() - hints.keys() <= SETTINGS_FLAGS.get(name, set())
    for field, hint in hints.items():
        option = parameters[field]
        has_default = repr(option.get_default(context)) not in ("None", "Sentinel.UNSET")
        is_many = option.nargs == -1 or option.multiple
        can_be_none = not (option.required or has_default or is_many)
        assert (type(None) in get_args(hint)) == can_be_none, field


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
    assert "'docter'; did you mean 'doctor'?" in result.stderr


def test_a_name_like_no_command_lists_them_all():
    result = CliRunner().invoke(command_line, ["xylophone"])

    assert result.exit_code == 2
    assert ", ".join(COMMANDS) in result.stderr
