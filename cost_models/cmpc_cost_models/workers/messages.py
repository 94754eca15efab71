"""How parent and worker talk: a length in four bytes, then that much JSON in UTF-8.

JSON and not pickle, so that neither side can be made to run what it reads.
"""

import json
import os
import selectors
import struct
import time
from typing import Any

__all__ = ["read_message", "write_message"]

LENGTH = struct.Struct(">I")
MOST_BYTES_AT_ONCE = 1 << 20  # a pipe gives less; room for more would be made for nothing


def write_message(descriptor: int, message: dict[str, Any]) -> None:
    """Write ``message`` whole.

    Raises:
        BrokenPipeError: nobody reads any more.
    """
    body = json.dumps(message).encode()
    rest = memoryview(LENGTH.pack(len(body)) + body)  # whose slices copy nothing
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def read_message(descriptor: int, *, limit_seconds: float | None = None) -> dict[str, Any] | None:
    """Read the next message; ``None`` when the other side has closed.

    Raises:
        TimeoutError: the message wasn't there within ``limit_seconds``.
    """
    deadline = None if limit_seconds is None else time.monotonic() + limit_seconds
    header = _read_exactly(descriptor, LENGTH.size, deadline)
    if header is None:
        return None
    body = _read_exactly(descriptor, LENGTH.unpack(header)[0], deadline)
    return None if body is None else dict(json.loads(body))


def _read_exactly(descriptor: int, size: int, deadline: float | None) -> bytes | None:
    content = bytearray()
    while len(content) < size:
        if deadline is not None and not _has_more(descriptor, deadline):
            raise TimeoutError
        part = os.read(descriptor, min(size - len(content), MOST_BYTES_AT_ONCE))
        if not part:
            return None
        content += part
    return bytes(content)


def _has_more(descriptor: int, deadline: float) -> bool:
    """Wait for something to read until ``deadline``, a time of ``time.monotonic``."""
    with selectors.DefaultSelector() as selector:  # `select.select` takes no number above 1023
        selector.register(descriptor, selectors.EVENT_READ)
        return bool(selector.select(max(0.0, deadline - time.monotonic())))
