"""Draw an SVG at the size it is wanted, on white.

resvg is self-contained and draws the same everywhere; system fonts are skipped because they are
not the same everywhere. It draws in a process of its own (``svg_program``), which is started with
the first SVG and kept: an SVG that makes the library crash is refused like any broken file.
"""

import atexit
import os
import signal
import subprocess
import sys
import threading
from importlib.util import find_spec
from typing import IO

from cmpc_base.errors import MissingLibrary
from cmpc_base.libraries import missing_library
from cmpc_search.data import svg_program
from cmpc_search.data.svg_program import ANSWER, MAX_CPU_S, READY, REQUEST
from cmpc_search.errors import BadData, FileUnavailable

__all__ = ["is_svg", "svg_to_png"]

LONGEST_PREAMBLE_BYTES = 65536


def is_svg(content: bytes) -> bool:
    """Whether a file says SVG: an svg tag after no more than entities and a long licence."""
    start = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"<") and b"<svg" in content[:LONGEST_PREAMBLE_BYTES]


def svg_to_png(content: bytes, size_px: int) -> bytes:
    """Return the bytes of a PNG whose longer side is ``size_px``.

    Raises:
        BadData: it is no valid SVG, or the library crashes on it or takes too long.
        FileUnavailable: somebody else ended the process that draws.
        MissingLibrary: resvg-py is not installed.
    """
    return _program.draw(content, size_px)


class _DrawingProgram:
    """One process that draws, for all threads in turn; started when it is needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._started_by = 0

    def draw(self, content: bytes, size_px: int) -> bytes:
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(REQUEST.pack(len(content), size_px) + content)
                process.stdin.flush()
                is_drawn, length = ANSWER.unpack(_read(process.stdout, ANSWER.size))
                answer = _read(process.stdout, length)
            except (EOFError, BrokenPipeError):
                raise self._ended(process) from None
            except BaseException:
                self.close()  # or the next SVG would be given the answer of this one
                raise
        if not is_drawn:
            raise BadData(f"the SVG can't be drawn: {answer.decode('utf-8')}")
        return answer

    def close(self) -> None:
        """End the process, if this process started it."""
        process, self._process = self._process, None
        if process is not None and self._started_by == os.getpid():
            process.kill()
            process.communicate()

    def _running(self) -> "subprocess.Popen[bytes]":
        # After a fork both processes would read the same pipe: a child starts its own.
        if self._process is None or self._started_by != os.getpid():
            self._process, self._started_by = _started(), os.getpid()
        return self._process

    def _ended(self, process: "subprocess.Popen[bytes]") -> BadData | FileUnavailable:
        """Forget a process that ended while it drew; return what that says about the SVG."""
        self._process = None
        process.communicate()
        ended_by = -process.returncode
        if ended_by == getattr(signal, "SIGPROF", None):
            return BadData(f"the SVG takes more than {MAX_CPU_S} s of processor time to draw")
        if ended_by in (signal.SIGTERM, getattr(signal, "SIGKILL", None)):
            return FileUnavailable(
                "the process that draws SVGs was ended from outside, maybe for want of memory; "
                "free some and repeat the command"
            )
        return BadData(f"the SVG makes the drawing library crash (exit code {process.returncode})")


def _started() -> "subprocess.Popen[bytes]":
    if find_spec("resvg_py") is None:
        raise missing_library("resvg_py", "the drawing of SVGs")
    # -P keeps this folder off the import path, where modules have names like those of others.
    process = subprocess.Popen(
        [sys.executable, "-P", svg_program.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    if process.stdout.read(len(READY)) != READY:
        process.communicate()
        raise MissingLibrary(
            "the package resvg-py is installed but can't be loaded, so no SVG can be drawn; try "
            "`python -c 'import resvg_py'` and install it anew: pip install 'cmpc[data]'"
        )
    return process


def _read(stream: IO[bytes], length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return content


_program = _DrawingProgram()
atexit.register(_program.close)
