"""Real servers and trackers of TVM's, on the loopback, in process groups of their own."""

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

LOOPBACK = "127.0.0.1"
START_SECONDS = 60

needs_server = pytest.mark.skipif(
    importlib.util.find_spec("cloudpickle") is None, reason="TVM's server needs cloudpickle"
)


@contextmanager
def server(*arguments: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Start TVM's server in a process group of its own; give its port."""
    words = ["--host", LOOPBACK, "--port", "9490", "--port-end", "9590", *arguments]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "tvm.exec.rpc_server", *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "TVM_NUM_THREADS": "1"},
    )
    try:
        yield port_of(process), process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def port_of(process: subprocess.Popen[str]) -> int:
    """Read what the server says until it names its port; go on reading, so that it never waits."""
    deadline = time.monotonic() + START_SECONDS
    for line in process.stderr:
        if found := re.search(rf"bind to {LOOPBACK}:(\d+)", line):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            wait_until_it_listens(int(found[1]), deadline)
            return int(found[1])
        assert time.monotonic() < deadline
    raise AssertionError("the server ended before it listened")


def wait_until_it_listens(port: int, deadline: float) -> None:
    """Wait for what it does right after naming its port; who only asks would disturb it."""
    listening = re.compile(rf"^ *\d+: \S+:{port:04X} \S+ 0A ", re.MULTILINE)
    while not listening.search(Path("/proc/net/tcp").read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def tracker() -> Iterator[str]:
    port = free_port()
    words = ["--port", str(port), "--port-end", str(port + 1)]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "tvm.exec.rpc_tracker", "--host", LOOPBACK, *words],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(port)
        yield f"{LOOPBACK}:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as listener:
        return listener.getsockname()[1]


def wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection((LOOPBACK, port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("nobody listened in time")
