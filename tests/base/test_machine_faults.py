"""What the machine refuses is told apart from what a network does wrong."""

import errno
import os

import pytest
from safetensors import SafetensorError

from cmpc_base.errors import MachineFault
from cmpc_base.machine_faults import machine_fault
from cmpc_cost_models.errors import CompileFailed


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


REFUSED = [
    OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/runs/a/candidates/x.onnx"),
    NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), "/runs/a/compiled"),
    MemoryError(),
    MachineFault("compile failed: /runs/a: No space left on device"),
    SafetensorError("Error while serializing: No space left on device (os error 28)"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
    RuntimeError("can't start new thread"),
    caused(CompileFailed("a.onnx must compile"), OSError(errno.EROFS, os.strerror(errno.EROFS))),
]
NOT_REFUSED = [
    RuntimeError("InternalError: Check failed: n >= 0"),
    FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "nowhere.onnx"),
    ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)),
    CompileFailed("a.onnx must compile"),
]


@pytest.mark.parametrize("error", REFUSED, ids=repr)
def test_a_disk_memory_or_rights_that_are_missing_are_the_machines_fault(error):
    fault = machine_fault(error)

    assert fault
    assert "\n" not in fault


@pytest.mark.parametrize("error", NOT_REFUSED, ids=repr)
def test_a_network_or_a_device_that_fails_is_not_the_machines_fault(error):
    assert machine_fault(error) is None
