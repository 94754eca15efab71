"""Shared options tell what was typed from what is merely a default, and know their variables."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cmpc.cli.options import (
    cache_dir_option,
    flags_given,
    seed_option,
    set_up_compute,
    threads_option,
)
from cmpc_search.errors import BadArgument
from cmpc_search.training.compute import here, set_up_torch_as


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
    ("variable", "folder"), [("/else/where", "/else/where"), (None, "{home}/.cache/cmpc")]
)
def test_the_cache_is_where_the_variable_says_or_in_the_home_folder(variable, folder, tmp_path):
    environment = {"CMPC_CACHE": variable, "HOME": str(tmp_path)}

    given = CliRunner().invoke(probe, [], env=environment).stdout.split()[-1]
    assert given == folder.format(home=tmp_path)


def test_without_a_home_folder_the_cache_is_asked_for(monkeypatch):
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("CMPC_CACHE", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)  # nobody's, as in a container

    missing = CliRunner().invoke(probe, [])
    given = CliRunner().invoke(probe, ["--cache-dir", "/else/where"])

    assert missing.exit_code == 2
    assert "user 4000000000 has no home folder: set CMPC_CACHE or give --cache-dir" in (
        missing.stderr
    )
    assert given.stdout.split()[-1] == "/else/where"


def test_a_home_folder_that_may_not_be_written_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere

    result = CliRunner().invoke(probe, [], env={"HOME": str(tmp_path), "CMPC_CACHE": None})

    assert result.exit_code == 2
    assert f"{tmp_path} may not be written: set CMPC_CACHE" in result.stderr


@pytest.mark.parametrize("arguments", [["--seed", "-1"], ["--threads", "0"]])
def test_numbers_out_of_range_are_wrong_usage(arguments):
    assert CliRunner().invoke(probe, arguments).exit_code == 2


@pytest.mark.parametrize(
    ("typed", "expected"),
    [((None, None), (2, 3)), (("cpu", 1), (1, 3))],
    ids=["table", "flags-above-it"],
)
def test_where_is_computed_is_set_by_a_table_of_its_own(tmp_path, monkeypatch, typed, expected):
    toml_path = tmp_path / "cmpc.toml"
    toml_path.write_text("[compute]\ndevice = 'cpu'\nthreads = 2\nprocesses = 4\n")
    monkeypatch.setenv("CMPC_COMPUTE_PROCESSES", "3")
    before = here()

    set_up_compute(*typed, toml_path)

    found = here()
    set_up_torch_as(before)
    assert (found.device, found.threads, found.processes) == ("cpu", *expected)


@pytest.mark.parametrize("name", ["abacus", "meta", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(BadArgument, match=f"must be computed on cpu.*got {name}"):
        set_up_compute(name, 1)
