"""Processes that train together train the network that one trains, and end as one."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

# Both the first process, with a folder as its argument, and those that it starts.
MODULE = """
import json, os, signal, sys, time
from datetime import timedelta
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from cmpc_search.compatibility.bank import GalleryBank
from cmpc_search.compatibility.making import make_method
from cmpc_search.errors import BadRun
from cmpc_search.testing.views import bank_of
from cmpc_search.training import processes
from cmpc_search.training.compute import set_up_torch
from cmpc_search.training.execution import Execution
from cmpc_search.training.launch import launched
from cmpc_search.training.loop import train
from cmpc_search.training.processes import serve_one_order, training_together
from cmpc_search.training.query_task import QueryTask
from cmpc_search.training.settings import QueryTraining

SETTINGS = QueryTraining(num_steps=int(os.environ["STEPS"]), batch_size=8, micro_batches=4)
HARM = os.environ.get("HARM")
if HARM == "never joins":
    processes.LONGEST_JOIN = timedelta(seconds=1)


def prepare(order):
    if HARM == "refuses":
        raise BadRun("the views must be there, and are gone")
    if HARM == "never joins":
        processes._joined = lambda *_: os._exit(9)
    return lambda compute: learn(Path(order["folder"]), compute)


def learn(folder, compute):
    torch.manual_seed(0)
    seen = nn.functional.normalize(torch.randn(32, 3))
    bank = bank_of(torch.randint(0, 256, (32, 2, 2, 3), dtype=torch.uint8), seen)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    method = make_method("regression", GalleryBank(embeddings=seen, labels=None))

    def tell(done, total):
        print(done, flush=True)
        if HARM == "slow":
            time.sleep(0.2)

    execution = Execution(
        compute=compute,
        checkpoint=folder / f"checkpoint-{compute.world}",
        checkpoint_steps=3,
        progress=tell,
    )
    if HARM == "dies" and not compute.is_first:
        os._exit(7)
    batches = bank.batches(SETTINGS, seed=0, compute=compute)
    train(QueryTask(network, method), batches, SETTINGS, execution)
    save_file(network.state_dict(), folder / f"weights-{compute.world}-{compute.rank}")


signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
if len(sys.argv) == 1:
    serve_one_order(prepare)
else:
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    set_up_torch(1, processes=count)
    launch = launched()
    if launch is not None and launch.rank > 0:
        sys.exit(launch.follow(prepare))
    try:
        with training_together("along", {"folder": str(folder)}, SETTINGS) as compute:
            learn(folder, compute)
    except BadRun as error:
        sys.exit(str(error))
"""


@pytest.fixture
def begin(tmp_path):
    """Start a training of so many processes; all are ended after the test."""
    (tmp_path / "along.py").write_text(MODULE, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    started = []

    def start(processes, harm="", steps=6, launcher=()):
        started.append(
            subprocess.Popen(
                [sys.executable, *launcher, tmp_path / "along.py", tmp_path, str(processes)],
                env=os.environ | {"PYTHONPATH": path, "HARM": harm, "STEPS": str(steps)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def told(process):
    return process.communicate(timeout=120)[0].split()


def children_of(process):
    path = f"/proc/{process.pid}/task/{process.pid}/children"
    with open(path, encoding="utf-8") as file:
        return [int(word) for word in file.read().split()]


def is_running(pid):
    with suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
    return False


def test_processes_train_together_what_one_trains_alone_and_the_first_tells(begin, tmp_path):
    alone, together = begin(1), begin(2)

    assert told(alone) == told(together) == ["1", "2", "3", "4", "5", "6"]
    assert (alone.returncode, together.returncode) == (0, 0)
    one, first, second = (load_file(tmp_path / f"weights-{name}") for name in ("1-0", "2-0", "2-1"))
    for name, weight in one.items():
        torch.testing.assert_close(first[name], weight, rtol=1e-5, atol=1e-6)
        assert second[name].equal(first[name])
    assert (tmp_path / "checkpoint-2").exists()


def test_processes_of_torchrun_train_together_too(begin, tmp_path):
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    alone, together = begin(1), begin(1, launcher=torchrun)

    assert told(alone) == told(together) == ["1", "2", "3", "4", "5", "6"]
    assert (alone.returncode, together.returncode) == (0, 0)
    one, first = (load_file(tmp_path / f"weights-{name}") for name in ("1-0", "2-0"))
    for name, weight in one.items():
        torch.testing.assert_close(first[name], weight, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("refuses", "the views must be there, and are gone\n"),
        ("dies", "must stay to the end, and ended with exit status 7; its last words: nothing"),
        ("never joins", "must stay to the end, and ended with exit status 9; its last words"),
    ],
)
def test_what_ends_a_process_that_trains_along_is_the_one_error(begin, harm, words):
    training = begin(2, harm)

    _, errors = training.communicate(timeout=120)

    assert training.returncode == 1
    assert errors.endswith("\n")
    assert words in errors
    assert "Traceback" not in errors


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="there is no /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_no_process_outlives_the_first_and_the_next_training_goes_on(begin, number):
    training = begin(2, "slow", steps=300)
    assert [training.stdout.readline() for _ in range(5)][-1] == "5\n"
    children = children_of(training)

    training.send_signal(number)
    training.wait(30)

    assert len(children) == 1
    deadline = time.monotonic() + 10
    while any(map(is_running, children)):
        assert time.monotonic() < deadline, "a process was left behind"
        time.sleep(0.05)
    assert told(begin(2, steps=9))[0] == "4"  # after the checkpoint of step 3


@pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="there is no /proc")
def test_processes_listen_on_the_loopback_interface_alone(begin):
    training = begin(2, "slow", steps=300)
    training.stdout.readline()

    listening = {
        address
        for pid in (training.pid, *children_of(training))
        for address in listening_addresses(pid)
    }

    assert listening == {"0100007F"}  # 127.0.0.1


def listening_addresses(pid):
    folder = f"/proc/{pid}/fd"
    sockets = {os.readlink(f"{folder}/{name}") for name in os.listdir(folder)}
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}", encoding="utf-8") as file:
            for row in [line.split() for line in file][1:]:
                if row[3] == "0A" and f"socket:[{row[9]}]" in sockets:
                    yield row[1].split(":")[0]
