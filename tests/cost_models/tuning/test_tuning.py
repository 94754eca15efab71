"""Tuning with a real worker: what it finds is right, and nothing that goes wrong ends it."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.errors import BadArgument, CompileFailed, MachineBusy
from cmpc_cost_models.plans.maps import Map, View
from cmpc_cost_models.plans.specs import Concat
from cmpc_cost_models.schedules.database import ScheduleDatabase
from cmpc_cost_models.schedules.rules import RULES_ONLY, rule_schedule
from cmpc_cost_models.schedules.source import open_schedules
from cmpc_cost_models.schedules.workload import Workload
from cmpc_cost_models.sites.loaded import LoadedNetwork
from cmpc_cost_models.targets.machine import core_of, rank_cpus
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.timing import lease
from cmpc_cost_models.tuning import runner as runner_module
from cmpc_cost_models.tuning import task_tuner
from cmpc_cost_models.tuning.runner import KernelRunner
from cmpc_cost_models.tuning.tasks import MACS_OF_A_NUMBER, TuningTask, extract_tasks
from cmpc_cost_models.tuning.tuner import TuneSettings, tune


@pytest.fixture(scope="module")
def runner(host):
    with KernelRunner(host, num_threads=1) as runner:
        yield runner


@pytest.fixture
def database(tmp_path, host):
    with ScheduleDatabase.open(tmp_path / "schedules", host) as database:
        yield database


@pytest.fixture
def tasks(tiny_network, host):
    return extract_tasks([tiny_network], host)


@pytest.mark.slow
def test_a_tuned_network_answers_as_onnx_runtime(
    tiny_network, host, runner, database, tasks, tmp_path
):
    reports = tune(tasks, database, runner, TuneSettings(num_trials=20))

    assert sum(one.num_trials for one in reports) == 20
    assert all(one.best_us <= one.rule_us for one in reports if one.best_us is not None)
    source = open_schedules(tmp_path / "schedules", host)
    found = {one.workload_key: one.schedule for one in database.all_best()}
    for task in tasks:
        if task.workload.key in found:
            assert source.find(task.workload) == (found[task.workload.key], "record")
    compiled = compile_network(tiny_network, host, cache_dir=tmp_path, schedules=source)
    plain = compile_network(tiny_network, host, cache_dir=tmp_path, schedules=RULES_ONLY)
    assert compiled.path != plain.path
    image = np.random.default_rng(3).random(compiled.input_shape, dtype=np.float32)
    session = onnxruntime.InferenceSession(tiny_network, providers=["CPUExecutionProvider"])
    [expected] = session.run(None, {session.get_inputs()[0].name: image})
    given = LoadedNetwork(compiled.path, compiled.input_shape).run(image)
    np.testing.assert_allclose(given, expected, atol=1e-5)


def test_the_tasks_of_two_networks_are_those_of_one_twice(write_tiny, host):
    once = extract_tasks([write_tiny(0)], host)
    twice = extract_tasks([write_tiny(0), write_tiny(1)], host)

    assert [one.workload for one in twice] == [one.workload for one in once]
    assert [one.weight for one in twice] == [2 * one.weight for one in once]


KILLED = """
import sys
from pathlib import Path
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.schedules.database import ScheduleDatabase
from cmpc_cost_models.tuning.runner import KernelRunner
from cmpc_cost_models.tuning.tasks import extract_tasks
from cmpc_cost_models.tuning.tuner import TuneSettings, tune

host = find_target("host")
with (
    KernelRunner(host, num_threads=1) as runner,
    ScheduleDatabase.open(Path(sys.argv[1]), host) as database,
):
    tasks = extract_tasks([Path(sys.argv[2])], host)
    tune(tasks, database, runner, TuneSettings(num_trials=100000, batch_size=4),
         on_batch=lambda done: print(done.num_tried, flush=True))
"""


def test_all_that_is_concatenated_is_work(host):
    part = View.whole(Map(height=4, width=4, channels=8))
    one, two = (
        Concat(sources=(part,) * count, target=Map(height=4, width=4, channels=8 * count))
        for count in (1, 2)
    )

    works = [TuningTask(workload=Workload.of(spec, host), weight=1).work for spec in (one, two)]

    assert works[1] == 2 * works[0] == 2 * MACS_OF_A_NUMBER * (128 + 128)


@pytest.mark.slow
def test_after_a_kill_tuning_goes_on_and_tries_nothing_twice(
    tiny_network, host, runner, database, tasks, monkeypatch
):
    command = [sys.executable, "-c", KILLED, str(database.path.parent), str(tiny_network)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tuning:
        seen = [int(tuning.stdout.readline()) for _ in range(3)]
        tuning.kill()
    tried_before = {
        (task.workload, record.schedule)
        for task in tasks
        for record in database.tried(task.workload.key)
    }
    assert len(tried_before) >= seen[-1]
    tried_again = []
    check = KernelRunner.error_of

    def noted(self, workload, schedule):
        tried_again.append((workload, schedule))
        return check(self, workload, schedule)

    monkeypatch.setattr(KernelRunner, "error_of", noted)
    num_trials = len(tried_before) + 10
    reports = tune(tasks, database, runner, TuneSettings(num_trials=num_trials))

    assert sum(one.num_trials for one in reports) == num_trials
    assert len(tried_again) == len(set(tried_again)) == 10
    assert tried_before.isdisjoint(tried_again)


def test_no_time_and_no_trials_left_try_nothing(runner, database, tasks):
    tune(tasks, database, runner, TuneSettings(num_trials=4))
    before = database.state_sha256(), [database.tried(one.workload.key) for one in tasks]

    tune(tasks, database, runner, TuneSettings(num_trials=4))
    tune(tasks, database, runner, TuneSettings(max_seconds=1e-9))

    assert before == (
        database.state_sha256(),
        [database.tried(one.workload.key) for one in tasks],
    )


def dense_task(tasks):
    """The 1x1 layer of eight inputs: its reduction may be written out in parts."""
    return next(one for one in tasks if one.workload.spec.target.height == 1)


def test_a_schedule_that_computes_something_else_is_a_failure_and_tuning_goes_on(
    runner, database, tasks, monkeypatch
):
    task = dense_task(tasks)
    wrong = replace(rule_schedule(task.workload), unroll=3)  # leaves the last two of eight out
    monkeypatch.setattr(task_tuner, "similar_schedules", lambda *_, **__: [wrong])

    [report] = tune([task], database, runner, TuneSettings(num_trials=8))

    assert (report.num_trials, report.num_failed) == (8, 1)
    assert report.best_us is not None
    [failed] = [one for one in database.tried(task.workload.key) if one.error]
    assert failed.schedule == wrong
    assert "wrong answer" in failed.error


def test_where_every_schedule_fails_that_is_an_error(runner, database, tasks, monkeypatch):
    monkeypatch.setattr(KernelRunner, "error_of", lambda *_: "no such instruction")

    with pytest.raises(CompileFailed, match="no such instruction"):
        tune(tasks, database, runner, TuneSettings(num_trials=20))


@pytest.mark.slow
def test_a_compiler_that_does_not_end_is_stopped_and_the_next_schedule_is_checked(
    runner, tasks, monkeypatch
):
    workload = dense_task(tasks).workload
    wide = replace(workload.spec.source.map, channels=4096)
    source = replace(workload.spec.source, map=wide, channels=4096)
    endless = replace(workload, spec=replace(workload.spec, source=source))
    rule = rule_schedule(endless)
    assert runner.error_of(endless, rule) is None

    with monkeypatch.context() as patch:
        patch.setattr(runner_module, "LIMIT_SECONDS", 1.0)
        error = runner.error_of(endless, replace(rule, unroll=4096, vectors=1))
    assert "took longer than 1 s" in error
    assert runner.site.worker.pid is None

    assert runner.error_of(workload, rule_schedule(workload)) is None


@pytest.mark.slow
def test_a_crash_while_timing_leaves_the_others_their_times(runner, tasks):
    workload = dense_task(tasks).workload
    rule, other = rule_schedule(workload), replace(rule_schedule(workload), unroll=2)
    assert runner.error_of(workload, rule) is None

    os.kill(runner.site.worker.pid, signal.SIGSTOP)  # so that it dies while it has work to do
    threading.Timer(0.5, os.kill, (runner.site.worker.pid, signal.SIGKILL)).start()
    times = runner.time(workload, [rule, other], 5)

    assert times.keys() == {rule, other}
    assert all(len(one) == 5 and (one > 0).all() for one in times.values())


def test_a_target_that_does_not_run_here_is_not_tuned(host):
    foreign = "cortex-a72" if host.architecture == "x86_64" else "x86-64-v3"

    with pytest.raises(BadArgument, match="--device rpc"):
        KernelRunner(find_target(foreign), num_threads=1)


def test_a_kernel_is_timed_on_a_processor_that_nobody_else_times_on(host, tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "_own_folder", lambda: tmp_path)
    with lease.CpuLease(1) as mine, KernelRunner(host) as runner:
        is_alone = len({core_of(cpu) for cpu in rank_cpus()}) == 1
        assert is_alone or core_of(runner.site.cpus[0]) != core_of(mine.cpus[0])


def test_a_kernel_that_is_timed_beside_another_process_of_cmpc_is_doubted(
    host, tasks, tmp_path, monkeypatch
):
    monkeypatch.setattr(lease, "_own_folder", lambda: tmp_path)
    workload = tasks[0].workload
    with lease.CpuLease(len(rank_cpus())), KernelRunner(host) as runner:
        assert runner.time(workload, [rule_schedule(workload)], 3)

    [doubt] = runner.doubts
    assert "another process of cmpc times on the same processor" in doubt


@pytest.mark.parametrize("change", [{"num_trials": 0}, {"batch_size": 0}, {"max_seconds": 0.0}])
def test_settings_without_sense_are_refused(change):
    with pytest.raises(BadArgument, match="must"):
        TuneSettings(**change)


@pytest.mark.slow
def test_two_threads_are_not_timed_beside_others(host, tasks, monkeypatch):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("two threads need two processors")
    monkeypatch.setattr(runner_module, "BUSY_PAUSE_SECONDS", 0.0)
    workload = replace(tasks[0].workload, num_threads=2)
    rule = rule_schedule(workload)
    with KernelRunner(host, num_threads=2) as runner:
        assert runner.error_of(workload, rule) is None

        spin = [sys.executable, "-c", "while True: pass"]
        others = [subprocess.Popen(spin) for _ in os.sched_getaffinity(0)]
        try:
            with pytest.raises(MachineBusy, match="must be quiet to time 2 threads"):
                runner.time(workload, [rule, replace(rule, is_parallel=True)], 20)
        finally:
            for other in others:
                other.kill()
                other.wait()
