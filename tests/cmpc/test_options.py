"""Shared options tell what was typed from what is merely a default, and know their variables."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cmpc.cli.options import cache_dir_option, flags_given, seed_option, threads_option


@click.command()
@seed_option
@threads_option
@cache_dir_option
@click.pass_context
def probe(ctx: click.Context, seed: int, threads: int, cache_dir: Path) -> None:
    click.echo(f"{flags_given(ctx)} {cache_dir}")


def test_only_typed_options_count_as_flags_even_when_they_repeat_the_default():
    result = CliRunner().invoke(probe, ["--seed", "0"])

    assert "{'seed': 0}" in result.stdout


@pytest.mark.parametrize(
    ("variable", "folder"), [("/else/where", "/else/where"), (None, "/home/someone/.cache/cmpc")]
)
def test_the_cache_is_where_the_variable_says_or_in_the_home_folder(variable, folder):
    environment = {"CMPC_CACHE": variable, "HOME": "/home/someone"}

    assert CliRunner().invoke(probe, [], env=environment).stdout.split()[-1] == folder


@pytest.mark.parametrize("arguments", [["--seed", "-1"], ["--threads", "0"]])
def test_numbers_out_of_range_are_wrong_usage(arguments):
    assert CliRunner().invoke(probe, arguments).exit_code == 2
