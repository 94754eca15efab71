"""What a device tells of itself, through a session of TVM's with this very process."""

import os
import platform

import pytest

from cmpc_cost_models.compiling.building import build
from cmpc_cost_models.sites import rpc
from cmpc_cost_models.sites.device_files import READER, STATUS, DeviceFiles
from cmpc_cost_models.sites.rpc import RpcSite
from cmpc_cost_models.targets.compilers import linker_for
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.targets.fingerprint import CPU_INFO, features_of, fingerprint_of
from cmpc_cost_models.targets.machine import STAT, cpu_flags, own_fingerprint
from cmpc_cost_models.targets.system_files import OWN_FILES
from cmpc_cost_models.targets.table import find_target, target_names
from cmpc_cost_models.testing.sites import SiteContract


@pytest.fixture
def session():
    from tvm.rpc import LocalSession

    return LocalSession()


@pytest.fixture
def files(session, host):
    return DeviceFiles(session, host)


def test_a_device_tells_the_fingerprint_that_it_would_tell_itself(files):
    assert fingerprint_of(files, architecture=platform.machine()) == own_fingerprint()
    assert features_of(files) == cpu_flags()


def test_what_is_not_there_is_left_out_and_the_rest_is_read_whole(files, tmp_path):
    (tmp_path / "long.txt").write_text("a line\n" * 10_000)
    (tmp_path / "empty.txt").write_text("")
    patterns = (f"{tmp_path}/*.txt", "/nowhere/at/all", "/proc/version")

    assert files.read(*patterns) == OWN_FILES.read(*patterns)
    assert files.read("/nowhere/at/all") == {}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="nothing is pinned here")
def test_the_thread_that_times_keeps_to_the_last_processor_it_may_use(files):
    allowed = os.sched_getaffinity(0)
    try:
        assert files.pin_to_last() == (max(allowed),)
        assert os.sched_getaffinity(0) == {max(allowed)}
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(
    ("allowed", "online", "pinned"),
    [("0-127", 4, (3,)), ("0,2", 4, (2,)), ("1-2", 1, ()), ("5", 0, ())],
)
def test_the_thread_is_kept_to_a_processor_that_is_switched_on(
    files, monkeypatch, allowed, online, pinned
):
    """The system allows more than there are, such as cores that are switched off."""
    status = f"Cpus_allowed:\tff\nCpus_allowed_list:\t{allowed}\n"
    stat = "cpu  9 9\n" + "".join(f"cpu{number} 1 2\n" for number in range(online))
    monkeypatch.setattr(files, "read", lambda *_: {STATUS: status, STAT: stat})
    monkeypatch.setattr(files, "_pin", lambda cpu: 0 if cpu < online else -1)

    assert files.pin_to_last() == pinned


class TestRpcSite(SiteContract):
    @pytest.fixture
    def site(self, host, session, monkeypatch):
        monkeypatch.setattr(rpc, "connect", lambda _: session)
        allowed = os.sched_getaffinity(0)
        yield RpcSite(Device(kind="rpc", host="board", port=9090), host)
        os.sched_setaffinity(0, allowed)


class BoardFiles:
    """The files of a board that is unlike this machine."""

    def __init__(self):
        self.asked = []

    def read(self, *patterns):
        self.asked += patterns
        return {CPU_INFO: "Features : fp asimd\nCPU part : 0xd08\n"} if CPU_INFO in patterns else {}

    def pin_to_last(self):
        return (3,)


def test_a_board_tells_its_own_facts_and_none_of_this_machine(session, monkeypatch):
    files = BoardFiles()
    monkeypatch.setattr(rpc, "connect", lambda _: session)
    monkeypatch.setattr(rpc, "_files_of", lambda *_: files)
    site = RpcSite(Device(kind="rpc", host="board", port=9090), find_target("arm"))

    facts = site.facts()
    files.asked.clear()
    seen = site.observe()

    assert (facts.fingerprint.cpu_model, facts.fingerprint.architecture) == ("0xd08", "aarch64")
    assert facts.features == {"fp", "asimd"}
    assert files.asked
    assert seen.load_average is None


@pytest.mark.parametrize("name", target_names())
def test_the_reader_compiles_for_every_target_that_has_a_compiler_here(name, tmp_path):
    target = find_target(name)
    compiler = linker_for(target)
    if compiler is None:
        pytest.skip(f"no compiler for {target.architecture}")

    build(compiler, READER, tmp_path / "reader.so", ["-shared", "-fPIC", "-Wall", "-Werror"])

    assert (tmp_path / "reader.so").read_bytes().startswith(b"\x7fELF")
