"""Tuning on a device: a real server of TVM's, on the loopback."""

import os
import signal

import pytest
from rpc_servers import LOOPBACK, needs_server, server

from cmpc_cost_models.errors import BadArgument, DeviceUnreachable
from cmpc_cost_models.schedules.database import ScheduleDatabase
from cmpc_cost_models.targets.device import NOWHERE, Device
from cmpc_cost_models.tuning.runner import KernelRunner
from cmpc_cost_models.tuning.tasks import extract_tasks
from cmpc_cost_models.tuning.tuner import TuneSettings, tune


def device_at(port: int) -> Device:
    return Device(kind="rpc", host=LOOPBACK, port=port)


@needs_server
@pytest.mark.slow
def test_kernels_are_tuned_on_a_device_until_that_is_gone(tiny_network, host, tmp_path):
    tasks = extract_tasks([tiny_network], host)
    with (
        server() as (port, process),
        KernelRunner(host, device=device_at(port)) as runner,
        ScheduleDatabase.open(tmp_path, host) as database,
    ):
        reports = tune(tasks, database, runner, TuneSettings(num_trials=10))

        assert sum(one.num_failed for one in reports) == 0
        [best, *_] = database.all_best()
        assert best.machine["device"] == device_at(port).name
        assert 0 < best.median_us < 1e4

        os.killpg(process.pid, signal.SIGKILL)
        with pytest.raises(DeviceUnreachable):
            tune(tasks, database, runner, TuneSettings(num_trials=20))


def test_a_device_that_can_not_tune_is_refused(host):
    with pytest.raises(BadArgument, match="must not be none"):
        KernelRunner(host, device=NOWHERE)
    with pytest.raises(BadArgument, match="must be 1 there"):
        KernelRunner(host, device=device_at(9), num_threads=2)
