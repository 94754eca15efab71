"""The program that draws SVGs for ``svg``: a process of its own, since the library can crash.

Deep nesting overflows its stack, huge patterns make it panic, some filters and masks take for
ever; each of these ends this process and not the one that prepares a data set. It imports nothing
of cmpc, so that it starts at once.

    in    length, size_px, SVG          for each picture
    out   READY                         once
          is_drawn, length, PNG | what is wrong
"""

import signal
import struct
import sys
from typing import BinaryIO

__all__ = ["ANSWER", "MAX_CPU_S", "READY", "REQUEST"]

REQUEST = struct.Struct("<QI")
ANSWER = struct.Struct("<?Q")
READY = b"R"

MAX_CPU_S = 30
"""An SVG that people draw takes milliseconds."""

MAX_MEMORY_BYTES = 2 * 2**30

NUM_STREAMS = 3
"""Input, output and errors, which are open already."""


def main() -> None:
    """Draw until the input ends."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    from resvg_py import svg_to_bytes

    limit_resources()
    sink.write(READY)
    sink.flush()
    while header := source.read(REQUEST.size):
        length, size_px = REQUEST.unpack(header)
        set_clock(MAX_CPU_S)
        try:
            drawn = svg_to_bytes(
                svg_string=source.read(length).decode("utf-8"),
                width=size_px,
                height=size_px,
                background="white",
                skip_system_fonts=True,
            )
        except BaseException as error:  # a panic of the library is no Exception
            answer(sink, is_drawn=False, content=str(error).encode("utf-8", "backslashreplace"))
        else:
            answer(sink, is_drawn=True, content=drawn)
        set_clock(0)


def answer(sink: BinaryIO, *, is_drawn: bool, content: bytes) -> None:
    """Send one answer."""
    sink.write(ANSWER.pack(is_drawn, len(content)) + content)
    sink.flush()


def limit_resources() -> None:
    """Let a picture that wants all the memory fail here, and none draw another file into itself.

    What an SVG shows must depend on its bytes alone; a pipe it names would be waited for. Windows
    knows no such limits.
    """
    try:
        import resource
    except ImportError:
        return
    limits = {
        resource.RLIMIT_AS: MAX_MEMORY_BYTES,
        resource.RLIMIT_NOFILE: NUM_STREAMS,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        _, most = resource.getrlimit(limit)
        allowed = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(limit, (allowed, allowed))


def set_clock(seconds: float) -> None:
    """End this process after so much processor time, or never: a busy machine is no fault."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()
