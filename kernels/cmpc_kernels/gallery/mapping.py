"""Map a file into memory and let go of it: a gallery may have more shards than files may be open.

Python's ``mmap`` keeps a descriptor for each mapping, of which a process often may have 1,024. The
system needs none: a mapping lasts until it is undone, whatever happens to the file's name.
"""

import ctypes
import functools
import mmap
import os
import weakref
from typing import BinaryIO

__all__ = ["mapped"]

FAILED = ctypes.c_void_p(-1).value


def mapped(file: BinaryIO) -> memoryview:
    """Return the bytes of a file that is not empty, read-only; each page is read when it is used.

    The file may be closed. The mapping goes with the last view of it.

    Raises:
        OSError: the system refuses.
    """
    if os.name != "posix":
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    system, num_bytes = _c_library(), os.fstat(file.fileno()).st_size
    address = system.mmap(None, num_bytes, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), 0)
    if address == FAILED:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), file.name)
    content = (ctypes.c_char * num_bytes).from_address(address)
    weakref.finalize(content, system.munmap, address, num_bytes).atexit = False
    return memoryview(content).cast("B").toreadonly()


@functools.cache
def _c_library() -> ctypes.CDLL:
    """Return what this process is linked with; ``long`` is what POSIX systems count files in."""
    system = ctypes.CDLL(None, use_errno=True)
    integers = (ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
    system.mmap.restype = ctypes.c_void_p
    system.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *integers)
    system.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    return system
