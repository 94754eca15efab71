"""The table of targets, a user's own, and what makes either of them wrong."""

import platform
import subprocess
import sys

import pytest

from cmpc_cost_models.errors import BadArgument, UnknownTarget
from cmpc_cost_models.targets import host, target
from cmpc_cost_models.targets.table import find_target, read_targets, target_names
from cmpc_cost_models.targets.target import Target

HEAVY = {"numpy", "onnx", "onnxruntime", "torch", "tvm"}


@pytest.mark.parametrize("name", target_names())
def test_every_listed_target_is_complete_and_survives_json(name):
    target = find_target(name)

    described = target.to_tvm()
    assert described["kind"] == "llvm"
    assert described["mcpu"]
    assert target.source
    assert Target.from_json(target.to_json()) == target


def test_the_peak_of_a_core_is_its_work_in_a_cycle_times_its_clock():
    board = {"like": "arm", "clock_ghz": 2.5, "peak_flops_per_cycle": 6, "num_cores": 7}

    [target] = read_targets({"board": board}, origin="cmpc.toml").values()

    assert target.peak_gflops == pytest.approx(15.0)


@pytest.mark.parametrize("name", target_names())
def test_no_listed_core_multiplies_more_than_its_vector_units_can(name):
    target = find_target(name)
    lanes = target.vector_bits // 32

    units = target.peak_flops_per_cycle / (2 * lanes)  # of fused multiply-adds

    assert units in (0.25, 0.5, 1, 2)


def test_an_unknown_target_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownTarget, match="did you mean 'cortex-a72'"):
        find_target("cortexa72")


def test_the_host_can_run_its_own_target():
    assert find_target("host").why_not_here() is None


@pytest.mark.parametrize("machine", ["arm64", "x86_64"])
def test_a_host_that_tells_no_features_is_no_target_and_others_can_be_named(machine, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    for module in (host, target):
        monkeypatch.setattr(module, "cpu_flags", frozenset)

    with pytest.raises(UnknownTarget, match="and this one tells none; name a target"):
        find_target("host")
    named = "cortex-a72" if machine == "arm64" else "x86-64-v3"
    why = find_target(named).why_not_here()
    assert why == "this system doesn't tell which features its processor has"


def test_a_target_of_another_architecture_does_not_run_here():
    foreign = "cortex-a72" if find_target("host").architecture == "x86_64" else "x86-64-v3"

    assert "processor" in (find_target(foreign).why_not_here() or "")


def test_a_user_adds_a_target_that_differs_from_one_of_ours():
    tables = {"my-board": {"like": "arm", "clock_ghz": 1.8}, "twin": {"like": "my-board"}}

    own = read_targets(tables, origin="cmpc.toml")

    board = find_target("my-board", own)
    assert board.clock_ghz == find_target("twin", own).clock_ghz == 1.8
    assert board.to_tvm() == find_target("cortex-a72").to_tvm()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"like": "arm", "clock": 1.8}, "did you mean 'clock_ghz'"),
        ({"like": "arm", "clock_ghz": "fast"}, "must be a number, got 'fast'"),
        ({"like": "arm", "clock_ghz": 0}, "must be positive"),
        *(({"like": "arm", "vector_bits": bits}, "128, 256, 512") for bits in (64, 100, 1024)),
        ({"like": "arm", "cache_bytes": {"L1": 1}}, "did you mean 'l1'"),
        ({"like": "arm", "cache_bytes": {"l1": "big"}}, "'l1' of cache_bytes .* an integer"),
        ({"like": "arm", "cache_bytes": 32}, "must be a table, got 32"),
        ({"like": "arm", "features": "+neon"}, "must be a list of texts"),
        ({"like": "arn"}, "did you mean 'arm'"),
        ({"triple": "aarch64-linux-gnu"}, "required_flags"),
    ],
    ids=str,
)
def test_a_wrong_description_of_a_target_is_refused_with_what_is_wrong(table, said):
    with pytest.raises(BadArgument, match=said):
        read_targets({"my-board": table}, origin="cmpc.toml")


def test_a_name_of_ours_is_not_described_again():
    with pytest.raises(BadArgument, match="a name of its own"):
        read_targets({"arm": {"like": "cortex-a53"}}, origin="cmpc.toml")


def test_costs_and_targets_import_nothing_heavy():
    script = "import sys, cmpc_cost_models; from cmpc_cost_models.targets import toolchain; "
    script += "from cmpc_cost_models.targets.table import find_target; find_target('host')"
    script += "; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert HEAVY.isdisjoint(done.stdout.split())
