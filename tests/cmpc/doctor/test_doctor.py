"""The doctor on made-up machines: what is amiss is found, named, and comes with a remedy."""

import json
import subprocess
from dataclasses import replace

import pytest
from click.testing import CliRunner

from cmpc.cli import command_line
from cmpc.doctor import Machine, examine

GIB = 2**30
INSTALLED = {"click": "8.5.1", "apache-tvm": "0.27.0.post1", "torch": "2.13.0+cpu"}
HEALTHY = Machine(
    python_version=(3, 11),
    requirements=(
        "click>=8.2",
        "apache-tvm==0.27.0.post1; extra == 'all'",
        "apache-tvm==0.27.0.post1; extra == 'compile'",
        "torch>=2.13; extra == 'search'",
        "pytest>=8.3; extra == 'dev'",
    ),
    version_of=INSTALLED.get,
    find_program=lambda name: f"/usr/bin/{name}",
    num_cores=2,
    num_threads=None,
    free_disk_bytes=50 * GIB,
    memory_bytes=16 * GIB,
    llvm_targets=lambda: frozenset({"aarch64", "x86_64", "wasm32"}),
    lacking_for=lambda target: (),
    clock_governor="performance",
    has_turbo=False,
    stolen_share=0.0,
    load_average=0.1,
    system="Linux x86_64",
    lacking_here=(),
)


def crash() -> frozenset[str]:
    raise subprocess.CalledProcessError(-11, ["python"])


def hang() -> frozenset[str]:
    raise subprocess.TimeoutExpired(["python"], 120)


def findings_of(machine: Machine):
    return {finding.name: finding for finding in examine(machine, quick=False)}


def test_a_healthy_machine_has_nothing_amiss():
    assert {finding.status for finding in findings_of(HEALTHY).values()} == {"ok"}


@pytest.mark.parametrize(
    ("change", "name", "status"),
    [
        ({"python_version": (3, 10)}, "Python", "fault"),
        ({"version_of": {**INSTALLED, "click": None}.get}, "click", "fault"),
        ({"version_of": {**INSTALLED, "click": "8.1.9"}.get}, "click", "fault"),
        ({"version_of": {**INSTALLED, "torch": None}.get}, "torch", "warning"),
        ({"version_of": {**INSTALLED, "torch": "2.9.1"}.get}, "torch", "fault"),
        ({"version_of": {**INSTALLED, "apache-tvm": "0.27.0.post2"}.get}, "apache-tvm", "fault"),
        ({"find_program": {"gcc": "/usr/bin/gcc"}.get}, "C++ compiler", "fault"),
        ({"lacking_for": lambda target: ("no emulator",)}, "tools for target arm", "warning"),
        ({"find_program": {"g++": "/usr/bin/g++"}.get}, "npm", "warning"),
        ({"num_threads": "8"}, "processor", "warning"),
        ({"clock_governor": "powersave"}, "timing", "warning"),
        ({"has_turbo": True}, "timing", "warning"),
        ({"stolen_share": 0.05}, "timing", "warning"),
        ({"load_average": 1.6}, "timing", "warning"),
        ({"lacking_here": ("there is no /proc",)}, "system", "warning"),
        ({"memory_bytes": 2 * GIB}, "memory", "warning"),
        ({"free_disk_bytes": GIB // 4}, "free disk", "fault"),
        ({"llvm_targets": crash}, "TVM's targets", "fault"),
        ({"llvm_targets": hang}, "TVM's targets", "fault"),
        ({"llvm_targets": lambda: frozenset({"x86_64"})}, "TVM's targets", "warning"),
    ],
)
def test_what_is_amiss_is_named_with_a_remedy(change, name, status):
    finding = findings_of(replace(HEALTHY, **change))[name]

    assert finding.status == status
    assert finding.advice


def test_a_library_of_the_developers_alone_is_not_asked_for():
    assert "pytest" not in findings_of(HEALTHY)


def test_a_machine_that_tells_no_memory_is_not_blamed_for_it():
    assert findings_of(replace(HEALTHY, memory_bytes=None))["memory"].found == "not told"


def test_quick_does_not_wake_tvm():
    machine = replace(HEALTHY, llvm_targets=crash)

    assert "TVM's targets" not in {finding.name for finding in examine(machine, quick=True)}


def test_the_command_reads_the_real_metadata_and_exits_by_its_faults(tmp_path):
    arguments = ["doctor", "--quick", "--json", "--cache-dir", str(tmp_path / "not" / "yet")]

    result = CliRunner().invoke(command_line, arguments)

    document = json.loads(result.stdout)
    names = {finding["name"] for finding in document["findings"]}
    assert {"numpy", "apache-tvm", "apache-tvm-ffi", "torch", "free disk"} <= names
    assert result.exit_code == (1 if document["num_faults"] else 0)
