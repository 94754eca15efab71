"""Keep one worker process alive, and turn whatever befalls it into an answer.

A request comes back as a result or as an error text: refused, too slow, or the worker died. In the
last two cases the process is killed and the next request starts a new one. A fault of the machine,
such as a full disk, is no answer: it is raised.
"""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from cmpc_base.closeable import Closeable
from cmpc_base.errors import MachineFault
from cmpc_cost_models.errors import DeviceUnreachable
from cmpc_cost_models.workers.messages import read_message, write_message

__all__ = ["Answer", "WorkerProcess"]

START_LIMIT_SECONDS = 180.0  # importing TVM: 3 s on an idle machine, far more on a busy board
STDERR_TAIL_BYTES = 600
MAX_REQUESTS = 600  # TVM keeps 2 to 3 MB of each network that it compiled and loaded


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came of a request: JSON values, or why there are none."""

    result: Any = None
    error: str | None = None


class WorkerProcess(Closeable):
    """A worker that is started when needed and replaced when lost.

    Args:
        module: What runs there; it calls ``serving.serve``.
    """

    def __init__(self, module: str, *, num_threads: int) -> None:
        self._num_threads = num_threads
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._num_requests = 0
        self._stderr: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()

    @property
    def pid(self) -> int | None:
        """The running worker's process id."""
        return None if self._process is None else self._process.pid

    @property
    def is_worn(self) -> bool:
        """Whether the next request is answered by another worker, as this one has done enough."""
        return self._num_requests >= MAX_REQUESTS

    def ask(self, request: dict[str, Any], *, limit_seconds: float) -> Answer:
        """Send ``request`` and return the answer, whatever happens to the worker.

        Raises:
            DeviceUnreachable: no worker can be started at all.
            MachineFault: the disk, the memory or the rights it needs are not there.
        """
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            write_message(process.stdin.fileno(), request)
            answer = read_message(process.stdout.fileno(), limit_seconds=limit_seconds)
        except TimeoutError:
            self.kill()
            return Answer(error=f"{request['verb']} took longer than {limit_seconds:g} s")
        except BrokenPipeError:
            answer = None
        if answer is None:
            return Answer(error=f"{request['verb']} ended the worker: {self._ending()}")
        if "machine_fault" in answer:
            raise MachineFault(answer["machine_fault"])
        return Answer(**answer)

    def kill(self) -> None:
        """End the worker and what it started now; the next request starts another."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()  # reaps it and closes its pipes
        self._process = None

    def close(self) -> None:
        self.kill()
        self._stderr.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None and not self.is_worn:
            self._num_requests += 1
            return self._process
        self.kill()
        self._process = process = self._start()
        assert process.stdout is not None
        try:
            is_ready = read_message(process.stdout.fileno(), limit_seconds=START_LIMIT_SECONDS)
        except TimeoutError:
            is_ready = None
        if is_ready is None:
            raise DeviceUnreachable(
                f"the measuring process must start and load TVM, but: {self._ending()}"
            )
        return process

    def _start(self) -> subprocess.Popen[bytes]:
        threads = str(self._num_threads)
        # TVM's pool reads its size at import; numerical libraries beside it must not add threads.
        limits = {"TVM_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        self._num_requests = 1
        self._stderr.seek(0)
        self._stderr.truncate()
        return subprocess.Popen(
            # -P: a file called like a library in the current folder must not be imported
            [sys.executable, "-P", "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=os.environ | limits,
            start_new_session=True,  # so that a linker or an emulator can be ended with it
        )

    def _ending(self) -> str:
        """Say how the worker ended and what it said last, and forget it."""
        process = self._process
        assert process is not None
        self.kill()
        status = process.returncode
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - STDERR_TAIL_BYTES))
        tail = self._stderr.read().decode(errors="replace").strip()
        ending = f"signal {-status}" if status < 0 else f"exit status {status}"
        return f"{ending}; its last words: {tail}" if tail else ending
