import subprocess
import sys

import pytest

from cmpc_cost_models.errors import UnknownTarget
from cmpc_cost_models.targets import Target, target_names

HEAVY = {"numpy", "onnx", "onnxruntime", "torch", "tvm"}


@pytest.mark.parametrize("name", target_names())
def test_every_listed_target_exists_and_names_a_processor_for_tvm(name):
    described = Target.named(name).to_tvm()

    assert described["kind"] == "llvm"
    assert described["mcpu"]
    assert described["num-cores"] >= 1


def test_an_unknown_target_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownTarget, match="did you mean 'cortex-a72'"):
        Target.named("cortexa72")


def test_the_host_can_run_its_own_target():
    assert Target.named("host").why_not_here() is None


def test_a_target_of_another_architecture_does_not_run_here():
    foreign = "cortex-a72" if Target.named("host").architecture == "x86_64" else "x86-64-v3"

    assert "processor" in (Target.named(foreign).why_not_here() or "")


def test_costs_and_targets_import_nothing_heavy():
    script = "import sys, cmpc_cost_models; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert HEAVY.isdisjoint(done.stdout.split())
