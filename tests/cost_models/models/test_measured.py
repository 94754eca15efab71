"""Real networks, a real worker, and real accidents."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest
from meters import meter_here
from onnx import TensorProto, helper

from cmpc_base.hashing import file_hash
from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.records import Measurement
from cmpc_cost_models.targets.machine import core_of, rank_cpus
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.timing import lease
from cmpc_cost_models.timing.settings import MeasureSettings
from cmpc_cost_models.workers import process as worker_process

QUICK = {"num_blocks": 3, "span_seconds": 0.0, "block_ms": 1.0, "warmup_ms": 1.0, "max_attempts": 1}


def test_the_cost_names_the_library_that_was_timed(meter, tiny_network):
    measurement = meter.measure(tiny_network)

    assert measurement.error is None
    assert 0 < measurement.cost.value < 100
    assert measurement.cost.unit == "ms"
    assert measurement.cost.source == "measured"
    assert measurement.cost.estimator == "undisturbed median"
    assert measurement.cost.count + measurement.cost.num_set_aside >= 6
    assert measurement.cost.num_single_runs == meter.settings.num_single_runs
    assert measurement.cost.p50 <= measurement.cost.p90 <= measurement.cost.p99
    assert measurement.cost.artefact_sha256 == file_hash(measurement.compiled.path)
    assert measurement.cost.evidence.num_threads == 1
    assert measurement.cost.evidence.conditions.cpu_share > 0
    num_kernels = len(measurement.compiled.kernels)
    assert measurement.cost.kernel_origins == ({"rule": num_kernels} if num_kernels else {})
    assert measurement.is_stable == (not measurement.unstable_reasons)


def test_a_candidate_that_fails_is_a_result_and_the_next_one_is_measured(
    meter, tiny_network, tmp_path
):
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, 3])
    node = helper.make_node("Det", ["image"], ["result"])
    graph = helper.make_graph([node], "strange", [image], [result])
    onnx.save(helper.make_model(graph), tmp_path / "strange.onnx")

    bad, good = meter.measure_interleaved([tmp_path / "strange.onnx", tiny_network])

    assert "operator Det" in bad.error
    assert bad.cost is None
    assert good.error is None
    assert "can't be read" in meter.measure(tmp_path / "nowhere.onnx").error


@pytest.mark.slow
def test_beside_a_busy_loop_on_the_same_core_the_verdict_turns(host, cache_dir, tiny_network):
    cpu = rank_cpus()[0]
    script = f"import os; os.sched_setaffinity(0, {{{cpu}}})\nwhile True: pass"
    settings = MeasureSettings(
        num_blocks=20, span_seconds=0, max_seconds=1.0, block_ms=5.0, cpus=(cpu,)
    )
    busy = subprocess.Popen([sys.executable, "-c", script])
    try:
        with meter_here(host, cache_dir, settings) as meter:
            measurement = meter.measure(tiny_network)
    finally:
        busy.kill()
        busy.wait()

    assert not measurement.is_stable
    assert any("core" in reason for reason in measurement.unstable_reasons)
    assert measurement.cost.evidence.conditions.waiting_share > 0.1


@pytest.mark.slow
def test_two_threads_give_the_answer_of_one_and_have_a_core_each(host, cache_dir, tiny_network):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two processors")
    settings = MeasureSettings(**QUICK)
    with meter_here(host, cache_dir, settings, num_threads=2) as meter:
        measurement = meter.measure(tiny_network)

    assert measurement.error is None
    assert measurement.cost.evidence.num_threads == 2
    assert len(set(measurement.cost.evidence.cpus)) == 2


def test_threads_may_not_share_a_core(host, cache_dir):
    settings = MeasureSettings(cpus=(0,))
    with pytest.raises(BadArgument, match="processor of its own"):
        meter_here(host, cache_dir, settings, num_threads=2)


@pytest.mark.slow
def test_a_reference_network_that_fails_is_tried_again_and_missed_aloud(
    host, cache_dir, tiny_network, monkeypatch
):
    tries = []
    with meter_here(host, cache_dir, MeasureSettings(**QUICK)) as meter:
        compile_ = meter._compiler.compile

        def fail_once(path):
            if path.parent.name == "reference":
                tries.append(path)
                if len(tries) == 1:
                    return Measurement(error="compile took longer than 120 s")
            return compile_(path)

        monkeypatch.setattr(meter, "_compiler", SimpleNamespace(compile=fail_once))
        first, second, third = (meter.measure(tiny_network) for _ in range(3))

    missed = "how fast the reference network was meanwhile: compile took longer than 120 s"
    assert missed in first.cost.not_observed
    assert missed not in (*second.cost.not_observed, *third.cost.not_observed)
    assert len(tries) == 2


@pytest.mark.slow
def test_two_meters_at_once_time_on_two_processors_or_say_that_they_share_one(
    host, cache_dir, tiny_network, tmp_path, monkeypatch
):
    monkeypatch.setattr(lease, "_own_folder", lambda: tmp_path)
    settings = MeasureSettings(**QUICK)
    with (
        meter_here(host, cache_dir, settings) as one,
        meter_here(host, cache_dir, settings) as other,
    ):
        first, second = (meter.measure(tiny_network) for meter in (one, other))

    cpus = [found.cost.evidence.cpus for found in (first, second)]
    is_shared = any("another process of cmpc" in reason for reason in second.unstable_reasons)
    assert (cpus[0] == cpus[1]) == is_shared
    assert is_shared == (len({core_of(cpu) for cpu in rank_cpus()}) == 1)


def test_a_wrong_answer_is_never_timed(meter, host, write_tiny, tiny_network, cache_dir):
    poisoned = write_tiny(1)
    entry = compile_network(poisoned, host, cache_dir=cache_dir).path.parent
    other = compile_network(tiny_network, host, cache_dir=cache_dir).path.parent
    shutil.rmtree(entry)
    shutil.copytree(other, entry)

    measurement = meter.measure(poisoned)

    assert "wrong answer" in measurement.error
    assert measurement.cost is None


@pytest.mark.slow
def test_a_worker_that_hangs_or_dies_is_replaced(host, cache_dir, tiny_network):
    settings = MeasureSettings(**QUICK, limit_seconds=2.5)
    with meter_here(host, cache_dir, settings) as meter:
        assert meter.measure(tiny_network).error is None

        os.kill(meter.site.worker.pid, signal.SIGSTOP)
        assert "took longer than 2.5 s" in meter.measure(tiny_network).error
        assert meter.site.worker.pid is None

        assert meter.measure(tiny_network).error is None
        os.kill(meter.site.worker.pid, signal.SIGSTOP)  # so that it dies while it has work to do
        threading.Timer(0.5, os.kill, (meter.site.worker.pid, signal.SIGKILL)).start()
        assert "signal 9" in meter.measure(tiny_network).error


@pytest.mark.slow
def test_a_worker_is_replaced_before_it_holds_too_much(meter, tiny_network, monkeypatch):
    assert meter.measure(tiny_network).error is None
    worn_out = meter.site.worker.pid

    monkeypatch.setattr(worker_process, "MAX_REQUESTS", 3)  # what one network takes
    assert meter.measure(tiny_network).error is None

    assert meter.site.worker.pid != worn_out


def test_a_slow_timing_takes_fewer_blocks(meter, tiny_network, monkeypatch):
    slow = MeasureSettings(
        num_blocks=50, span_seconds=0, block_ms=10.0, max_seconds=0.05, max_attempts=1
    )
    monkeypatch.setattr(meter, "settings", slow)

    assert 1 <= meter.measure(tiny_network).cost.count < 10


@pytest.mark.slow
def test_a_worker_ends_with_its_parent(host, cache_dir, tiny_network):
    script = (
        "import sys, time; from pathlib import Path\n"
        "from meters import meter_here\n"
        "from cmpc_cost_models.timing.settings import MeasureSettings\n"
        "from cmpc_cost_models.targets.table import find_target\n"
        "quick = MeasureSettings(num_blocks=3, span_seconds=0, max_attempts=1)\n"
        "meter = meter_here(find_target('host'), Path(sys.argv[1]), quick)\n"
        "meter.measure(Path(sys.argv[2]))\n"
        "print(meter.site.worker.pid, flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(cache_dir), str(tiny_network)]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        worker_pid = int(parent.stdout.readline())
        assert is_alive(worker_pid)
        parent.kill()

    deadline = time.monotonic() + 10
    while is_alive(worker_pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_alive(worker_pid)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_target_that_does_not_run_here_is_not_measured(host, cache_dir):
    foreign = "cortex-a72" if host.architecture == "x86_64" else "x86-64-v3"

    with pytest.raises(BadArgument, match="can't be measured here"):
        meter_here(find_target(foreign), cache_dir)


@pytest.mark.parametrize(
    "change", [{"num_blocks": 2}, {"max_seconds": 0}, {"limit_seconds": 0}, {"max_attempts": 0}]
)
def test_settings_without_sense_are_refused(change):
    with pytest.raises(BadArgument, match="must"):
        MeasureSettings(**change)
