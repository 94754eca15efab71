"""Targets by name, from cmpc and from a settings file, as the commands see them."""

import json

import pytest
from click.testing import CliRunner

from cmpc.cli import command_line
from cmpc_cost_models.targets import host, target

BOARD = """
[targets.my-board]
like = "arm"
clock_ghz = 3.0
"""


def invoke(*arguments: object, **environment: str):
    return CliRunner(env=environment).invoke(command_line, [str(one) for one in arguments])


@pytest.fixture
def settings_file(tmp_path):
    path = tmp_path / "cmpc.toml"
    path.write_text(BOARD)
    return path


def test_targets_are_listed_with_what_this_machine_lacks_for_them(tmp_path, settings_file):
    result = invoke("targets", "list", "--json", "--config", settings_file, "--cache-dir", tmp_path)

    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    found = {one["name"]: one for one in document["targets"]}
    assert {"host", "x86-64-v3", "cortex-a53", "armv7-a", "riscv64", "my-board"} <= found.keys()
    assert document["aliases"] == {"arm": "cortex-a72"}
    assert found["my-board"]["clock_ghz"] == 3.0
    assert found["my-board"]["source"]
    assert any("cmpc targets fetch" in one for one in found["my-board"]["toolchain"]["lacking"])
    assert found["host"]["toolchain"]["emulator"] == []


def test_the_other_targets_are_listed_on_a_machine_that_is_none_itself(tmp_path, monkeypatch):
    for module in (host, target):
        monkeypatch.setattr(module, "cpu_flags", frozenset)

    result = invoke("targets", "list", "--json", "--cache-dir", tmp_path)

    assert result.exit_code == 0, result.stderr
    names = {one["name"] for one in json.loads(result.stdout)["targets"]}
    assert {"x86-64-v3", "cortex-a72"} <= names
    assert "host" not in names
    assert "this one tells none" in result.stderr


def test_each_number_of_a_target_stands_in_its_column(tmp_path, settings_file):
    settings_file.write_text(
        f"{BOARD}num_cores = 6\nvector_bits = 256\npeak_flops_per_cycle = 5\nmemory_gb_per_s = 7\n"
    )

    shown = invoke("targets", "list", "--config", settings_file, "--cache-dir", tmp_path).stdout

    [_, head, _, *rows] = shown.splitlines()
    [mine] = [row for row in rows if "my-board" in row]
    assert " ".join(head.split()) == ("target processor cores GHz vector GFLOP/s a core GB/s here")
    # 5 operations a clock at 3 GHz
    assert mine.split()[:7] == ["my-board", "cortex-a72", "6", "3", "256", "15", "7"]


def test_a_misspelt_key_of_a_target_is_told_with_the_nearest(tmp_path):
    path = tmp_path / "cmpc.toml"
    path.write_text('[targets.my-board]\nlike = "arm"\nclock_gzh = 3.0\n')

    result = invoke("targets", "list", "--config", path)

    assert result.exit_code == 2
    assert "did you mean 'clock_ghz'" in result.stderr


def test_a_processor_for_which_tvm_is_not_published_is_told_apart(tmp_path):
    result = invoke("targets", "fetch", "riscv64", "--cache-dir", tmp_path)

    assert result.exit_code == 2
    assert "no published TVM runtime for riscv64" in result.stderr


def test_a_search_names_what_is_missing_to_compile_before_it_begins(project, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    new = project.folder / "no-compiler"

    result = project.invoke(*project.search(new, target="armv7-a", cost="latency"))

    assert result.exit_code == 2
    assert "apt-get install g++-arm-linux-gnueabihf" in result.stderr
    assert not new.exists()


def test_a_search_for_an_unreachable_device_ends_before_it_begins(project):
    new = project.folder / "unplugged"
    search = project.search(new, device="rpc://127.0.0.1:1", cost="latency", trials=1)

    result = project.invoke(*search)

    assert result.exit_code == 4
    assert "rpc://127.0.0.1:1" in result.stderr
    assert not new.exists()


@pytest.mark.slow
def test_a_search_without_a_device_predicts_and_says_so_at_once(project):
    run = project.folder / "predicted"
    words = project.search(run, device="none", cost="latency", trials=2)

    result = project.invoke(*words, "--json")

    assert result.exit_code == 0, result.stderr
    assert result.stderr.index("PREDICTED") < result.stderr.index("2 candidates")
    front = json.loads(result.stdout)["front"]
    assert {one["score"]["latency"]["source"] for one in front} == {"predicted"}
    assert {one["score"]["latency"]["count"] for one in front} == {1}
    again = project.invoke(*project.search(run, device="local", cost="latency", trials=3))
    assert again.exit_code == 2
    assert 'device was "none", now "local"' in again.stderr


def test_a_run_for_a_users_target_keeps_its_description(project, settings_file):
    run = project.folder / "own-target"
    words = project.search(run, target="my-board", trials=1)
    result = project.invoke(*words, "--config", settings_file)
    assert result.exit_code == 0, result.stderr
    settings_file.write_text(BOARD.replace("3.0", "2.0"))

    changed = project.invoke(*words, "--config", settings_file)

    assert changed.exit_code == 2
    assert "target.clock_ghz was 3.0, now 2.0" in changed.stderr
