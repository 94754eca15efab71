"""What is known and done where the system is not Linux: made up by taking things away."""

import os
import platform
import re
from pathlib import Path

import pytest

import cmpc
import cmpc_base
import cmpc_cost_models
import cmpc_kernels
import cmpc_search
from cmpc_cost_models.targets import system_calls
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.targets.toolchain import find_toolchain

PACKAGES = (cmpc, cmpc_base, cmpc_cost_models, cmpc_kernels, cmpc_search)
ASKED_ELSEWHERE = (
    r"sched_[gs]etaffinity|os\.uname|platform\.(machine|system)|os\.getloadavg|SC_PHYS_PAGES"
)


@pytest.fixture
def macos(monkeypatch):
    for name in ("sched_getaffinity", "sched_setaffinity"):
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr(system_calls, "PROC", Path("/nowhere"))


def test_a_system_that_pins_nothing_runs_the_body_on_all_its_processors(macos):
    with system_calls.running_on([0]):
        assert system_calls.allowed_cpus() == set(range(system_calls.num_cpus()))
    assert not system_calls.can_pin()


def test_what_is_lacking_is_told_with_what_it_means(macos):
    told = "; ".join(system_calls.lacking_here())

    assert "can't be kept to a processor" in told
    assert "no /proc" in told
    assert "for Linux" in told


def test_code_for_linux_is_neither_made_nor_run_by_another_systems_own_tools(macos, tmp_path):
    target = find_target("cortex-a72")

    toolchain = find_toolchain(target, cache_dir=tmp_path, find_program={"g++": "/bin/g++"}.get)

    assert target.why_not_here() == "it is for aarch64-linux-gnu and this system is Darwin"
    assert toolchain.compiler is None
    assert "no C++ compiler for aarch64-linux-gnu" in toolchain.lacking[0]


def test_nothing_is_lacking_on_linux():
    if platform.system() != "Linux":
        pytest.skip("says what holds on Linux")
    assert system_calls.lacking_here() == ()


@pytest.mark.parametrize(
    ("machine", "called"), [("arm64", "aarch64"), ("armv7l", "arm"), ("AMD64", "x86_64")]
)
def test_an_architecture_has_one_name_whatever_the_system_calls_it(machine, called, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: machine)

    assert system_calls.architecture() == called


def test_the_processors_a_process_may_use_count_where_python_knows_them(monkeypatch):
    monkeypatch.setattr(os, "process_cpu_count", lambda: 3, raising=False)
    assert system_calls.num_cpus() == 3
    monkeypatch.delattr(os, "process_cpu_count")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert system_calls.num_cpus() == 1


@pytest.mark.parametrize("ask", ["memory_bytes", "ticks_per_second"])
def test_a_system_that_tells_no_size_is_asked_for_none(ask, monkeypatch):
    def refuse(_):
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "sysconf", refuse)

    assert getattr(system_calls, ask)() in (None, 100)


def test_what_only_some_systems_have_is_asked_for_in_one_place():
    asking = {
        path.relative_to(Path(package.__path__[0]).parent).as_posix()
        for package in PACKAGES
        for path in Path(package.__path__[0]).rglob("*.py")
        if re.search(ASKED_ELSEWHERE, path.read_text())
    }

    assert asking == {"cmpc_cost_models/targets/system_calls.py"}
