"""Is an exception the machine's fault, and not that of the network at work?

A full disk, a folder that may not be written and exhausted memory strike whatever is at work at
that moment. The next network would fare no better, and this one will do once the machine is in
order: so neither may be remembered as a failure of its own.
"""

import re
import socket
from collections.abc import Iterator

from cmpc_base.errors import MachineFault
from cmpc_base.printable import one_line

__all__ = ["machine_fault"]

# What libraries raise as an error of their own although the system refused them something: Rust's
# input and output, torch's and C++'s allocators, a thread that can't start, a linker's messages.
SAID_BY_LIBRARIES = re.compile(
    r"\(os error \d+\)|can't allocate memory|cannot allocate memory|out of memory|bad_alloc"
    r"|can't start new thread|no space left on device|disk quota exceeded"
    r"|read-only file system|too many open files",
    re.IGNORECASE,
)

OF_A_DEVICE = (ConnectionError, TimeoutError, socket.gaierror)
NOT_A_REFUSAL = (FileNotFoundError, IsADirectoryError)  # a wrong path was asked for


def machine_fault(error: BaseException) -> str | None:
    """Return what the machine refused, in one line; None where it is not to blame.

    A device that does not answer is no fault of this machine: such errors are None.
    """
    for one in _with_causes(error):
        if isinstance(one, OF_A_DEVICE):
            return None
        if isinstance(one, MachineFault):
            return one_line(one)
        if isinstance(one, MemoryError):
            return one_line(f"memory is exhausted. {one}")
        if isinstance(one, OSError) and one.strerror and not isinstance(one, NOT_A_REFUSAL):
            return f"{one.filename}: {one.strerror}" if one.filename else one.strerror
        if SAID_BY_LIBRARIES.search(str(one)):
            return one_line(one)
    return None


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__
