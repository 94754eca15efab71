"""Tuning on a device: a real server of TVM's, on the loopback."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cmpc_cost_models.errors import BadArgument, DeviceUnreachable
from cmpc_cost_models.targets.device import NOWHERE, Device
from cmpc_cost_models.tuning import (
    KernelRunner,
    ScheduleDatabase,
    TuneSettings,
    extract_tasks,
    tune,
)

LOOPBACK = "127.0.0.1"
needs_server = pytest.mark.skipif(
    importlib.util.find_spec("cloudpickle") is None, reason="TVM's server needs cloudpickle"
)


@contextmanager
def server() -> Iterator[tuple[Device, subprocess.Popen[str]]]:
    words = ["--host", LOOPBACK, "--port", "9600", "--port-end", "9690"]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "tvm.exec.rpc_server", *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        ports = (re.search(rf"bind to {LOOPBACK}:(\d+)", line) for line in process.stderr)
        port = next(int(found[1]) for found in ports if found)
        yield Device(kind="rpc", host=LOOPBACK, port=port), process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@needs_server
@pytest.mark.slow
def test_kernels_are_tuned_on_a_device_until_that_is_gone(tiny_network, host, tmp_path):
    tasks = extract_tasks([tiny_network], host)
    with (
        server() as (device, process),
        KernelRunner(host, device=device) as runner,
        ScheduleDatabase.open(tmp_path, host) as database,
    ):
        reports = tune(tasks, database, runner, TuneSettings(num_trials=10))

        assert sum(one.num_failed for one in reports) == 0
        [best, *_] = database.all_best()
        assert best.machine["device"] == device.name
        assert 0 < best.median_us < 1e4

        os.killpg(process.pid, signal.SIGKILL)
        with pytest.raises(DeviceUnreachable):
            tune(tasks, database, runner, TuneSettings(num_trials=20))


def test_a_device_that_can_not_tune_is_refused(host):
    with pytest.raises(BadArgument, match="must not be none"):
        KernelRunner(host, device=NOWHERE)
    with pytest.raises(BadArgument, match="must be 1 there"):
        KernelRunner(host, device=Device(kind="rpc", host=LOOPBACK, port=9), num_threads=2)
