"""Processes that read the pictures of a source side by side, one thread each.

    this process    makes the file, gives out chunks of rows, notes those that are there
    the others      list the same source, read, and write into the file (``reader_program``)

They are given the source by its name and read JSON; nothing of it is pickled. Each holds one
picture at a time. They end when their input does, however this process ends.
"""

import os
import queue
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from typing import Any

from cmpc_base.closeable import Closeable
from cmpc_base.errors import CmpcError, MissingLibrary
from cmpc_base.progress import Progress
from cmpc_cost_models.targets.system_calls import allowed_cpus
from cmpc_cost_models.workers.messages import read_message, write_message
from cmpc_search.data.filling import Filling
from cmpc_search.errors import BadData, DownloadFailed, FileUnavailable

__all__ = ["SourceOrder", "fill_together", "num_readers"]

MODULE = "cmpc_search.data.reader_program"
MOST_READERS = 8
"""Each may hold a picture of hundreds of megapixels, and they share a disk."""

WORTHWHILE_ROWS = 1000
"""To start a process takes as long as reading some hundred small pictures."""

KINDS: Mapping[str, type[CmpcError]] = {
    kind.__name__: kind for kind in (BadData, DownloadFailed, FileUnavailable, MissingLibrary)
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceOrder:
    """What another process makes the same source from."""

    source: str
    cache_dir: str
    version: str


def num_readers(num_rows: int) -> int:
    """Return how many processes are worth their start; 1 is this process alone."""
    if num_rows < WORTHWHILE_ROWS:
        return 1
    return min(len(allowed_cpus()), MOST_READERS)


def fill_together(
    filling: Filling, order: SourceOrder, num_processes: int, progress: Progress
) -> None:
    """Fill what is missing of a file by other processes; progress is told of each chunk.

    Raises:
        BadData: a picture can't be read at this size, or the source changed meanwhile.
        FileUnavailable: the machine can't read a picture now, or another program ended a process.
    """
    readers: queue.SimpleQueue[_Reader] = queue.SimpleQueue()
    with ExitStack() as running:
        # Entered first, left last: threads that wait for an answer get one when the readers end.
        threads = running.enter_context(ThreadPoolExecutor(num_processes))
        for _ in range(num_processes):
            readers.put(running.enter_context(_Reader(order, filling)))

        def ask(chunk: range) -> tuple[range, str]:
            reader = readers.get()
            try:
                return chunk, reader.ask(chunk)
            finally:
                readers.put(reader)

        asked = [threads.submit(ask, chunk) for chunk in filling.missing]
        running.callback(threads.shutdown, wait=False, cancel_futures=True)
        for answer in as_completed(asked):
            chunk, sha256 = answer.result()
            filling.note(chunk, sha256)
            progress(filling.num_done, filling.reading.num_rows)


class _Reader(Closeable):
    """One other process."""

    def __init__(self, order: SourceOrder, filling: Filling) -> None:
        self._process = subprocess.Popen(
            # -P: a file called like a library in the current folder must not be imported
            [sys.executable, "-P", "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for this process, which ends the others
        )
        reading = filling.reading.to_json()
        self._tell({**asdict(order), "path": os.fspath(filling.path), "reading": reading})

    def ask(self, chunk: range) -> str:
        """Have a chunk filled; return the hash of its rows."""
        self._tell({"start": chunk.start, "stop": chunk.stop})
        assert self._process.stdout is not None
        answer = read_message(self._process.stdout.fileno())
        if answer is None:
            raise FileUnavailable(
                "a process that reads pictures has ended, maybe for want of memory; free some and "
                "repeat the command, which goes on where this one stopped"
            )
        if "error" in answer:
            raise KINDS.get(answer["kind"], BadData)(answer["error"])
        return str(answer["sha256"])

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()  # reaps it and closes its pipes

    def _tell(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # `ask` finds no answer, and says so
            write_message(self._process.stdin.fileno(), message)
