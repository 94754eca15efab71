"""Processes of this machine that train one network together, one thread each.

    this process    starts the others with an order, joins them, trains, writes and tells
    the others      do the order, which makes the same training anew, join, train, and end

Two threads of one process do little more steps of a small network than one does; two processes
share the micro-batches of each step. The others meet this one in torch's process group, which
listens on the loopback interface alone. They are spawned, since neither Numba's threads nor torch's
survive a fork, and they read JSON. They end with this process, however it ends, when their input
does; and if one of them ends early, the training does, with what that one said.
"""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from torch import distributed

from cmpc_base.closeable import Closeable
from cmpc_base.errors import CmpcError
from cmpc_cost_models.workers.messages import read_message, write_message
from cmpc_search.errors import BadRun
from cmpc_search.training.compute import Compute, here, set_up_torch_as
from cmpc_search.training.launch import MOST_SILENCE, Order, Work, launched, process_group
from cmpc_search.training.settings import Training

__all__ = ["Order", "Work", "serve_one_order", "training_together"]

INTERFACE_VARIABLE = "GLOO_SOCKET_IFNAME"
STDERR_TAIL_BYTES = 600
END_SECONDS = 10.0
LONGEST_JOIN = timedelta(minutes=1)  # of the first, which comes when all others are ready


@contextmanager
def training_together(module: str, order: Order, training: Training) -> Iterator[Compute]:
    """Give the block where to train: here, beside as many processes as are worth it.

    Args:
        module: What the others run; it calls `serve_one_order`.

    Raises:
        BadRun: another process ended before the training did, and why.
    """
    compute = here()
    if (launch := launched()) is not None and compute.world == 1:
        with launch.training(order, training.micro_batches) as share:
            yield share
        return
    world = compute.processes_for(training.micro_batches, training.num_steps)
    if compute.world > 1 or world == 1:
        yield compute
        return
    share = replace(compute, world=world, threads=max(1, compute.threads // world))
    with Helpers(module, order, share) as helpers:
        helpers.wait_until_ready()
        set_up_torch_as(share)
        try:
            with _joined(share, helpers.store_path, LONGEST_JOIN):
                yield share
        except RuntimeError as error:
            if isinstance(error, CmpcError):
                raise
            raise helpers.complaint() from error  # a group that lost a member says just that
        finally:
            set_up_torch_as(compute)


class Helpers(Closeable):
    """The other processes of a training, as long as it lasts."""

    def __init__(self, module: str, order: Order, share: Compute) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="cmpc-processes-")
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._processes: list[subprocess.Popen[bytes]] = []
        for rank in range(1, share.world):
            self._processes.append(self._start(module, share.threads))
            self._tell(self._processes[-1], order, replace(share, rank=rank))

    @property
    def store_path(self) -> Path:
        """Where the processes find each other."""
        return Path(self._folder.name) / "store"

    def wait_until_ready(self) -> None:
        """Wait until all have loaded what they need.

        Raises:
            BadRun: one ended instead.
        """
        for process in self._processes:
            assert process.stdout is not None
            answer = read_message(process.stdout.fileno())
            if answer is None or "error" in answer:
                raise self._complaint_of(process, answer)

    def complaint(self) -> BadRun:
        """Return what the first process said that ended early."""
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                if process.wait(END_SECONDS) != 0:
                    assert process.stdout is not None
                    return self._complaint_of(process, read_message(process.stdout.fileno()))
        return BadRun("the processes of a training must stay in touch, and have lost each other")

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()  # reaps it and closes its pipes
        self._stderr.close()
        self._folder.cleanup()

    def _start(self, module: str, threads: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            # -P: a file called like a library in the current folder must not be imported
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            start_new_session=True,  # Ctrl-C is for this process, which ends the others
        )

    def _tell(self, process: subprocess.Popen[bytes], order: Order, share: Compute) -> None:
        assert process.stdin is not None
        place = {
            "device": share.device,
            "has_fast_bfloat16": share.has_fast_bfloat16,
            "rank": share.rank,
            "world": share.world,
            "threads": share.threads,
        }
        message = {"order": dict(order), "place": place, "store": str(self.store_path)}
        with suppress(BrokenPipeError):  # it ended at once: `wait_until_ready` tells why
            write_message(process.stdin.fileno(), message)

    def _complaint_of(
        self, process: subprocess.Popen[bytes], answer: Mapping[str, Any] | None
    ) -> BadRun:
        if answer is not None and "error" in answer:
            return BadRun(answer["error"])
        process.kill()
        status = process.wait()
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - STDERR_TAIL_BYTES))
        words = self._stderr.read().decode(errors="replace").strip() or "nothing"
        ending = f"signal {-status}" if status < 0 else f"exit status {status}"
        return BadRun(
            f"a process that trains along must stay to the end, and ended with {ending}; its last "
            f"words: {words}; begin again to go on from the last checkpoint, with fewer processes "
            "if it ran out of memory"
        )


def serve_one_order(prepare: Callable[[Order], Work]) -> None:
    """Do what another process orders on the standard input: load, join it, train, end."""
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints must not end up between the messages
    message = read_message(0)
    if message is None:
        return
    threading.Thread(target=_end_with_input, daemon=True).start()
    share = set_up_torch_as(Compute(**message["place"]))
    try:
        work = prepare(message["order"])
        write_message(answers, {"ready": True})
        with _joined(share, Path(message["store"])):
            work(share)
    except CmpcError as error:
        write_message(answers, {"error": str(error)})
        sys.exit(error.exit_code)


def _end_with_input() -> None:
    """End this process once nobody can write to it any more: the one that ordered is gone."""
    read_message(0)
    os._exit(1)


@contextmanager
def _joined(
    share: Compute, store_path: Path, longest_join: timedelta = MOST_SILENCE
) -> Iterator[None]:
    """Be one of the processes that meet at a file, and leave them again."""
    os.environ[INTERFACE_VARIABLE] = _loopback()
    store = distributed.FileStore(str(store_path), share.world)  # type: ignore[attr-defined]
    try:
        with process_group(share, store, longest_join):
            yield
    finally:
        del os.environ[INTERFACE_VARIABLE]


def _loopback() -> str:
    """Return the name of the interface that nobody outside this machine reaches."""
    return next(name for _, name in socket.if_nameindex() if name in ("lo", "lo0"))
