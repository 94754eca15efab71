"""Reach a device through TVM's RPC, or say in words why it can't be reached.

A key is first taken for a tracker's; a peer that does not greet like one is a server that wants the
key itself. All of this may hang on a peer that accepts and never speaks, so it happens in a worker
process with a time limit (``sites.worker``).
"""

import socket
import struct
from typing import Any

from cmpc_base.printable import last_line
from cmpc_cost_models.errors import DeviceUnreachable
from cmpc_cost_models.targets.device import Device

__all__ = ["connect"]

GREETING_SECONDS = 5.0


def connect(device: Device) -> Any:
    """Return TVM's session with ``device``; it ends with this process at the latest.

    Raises:
        DeviceUnreachable: nobody listens, or who listens doesn't let us in.
    """
    from tvm import rpc

    is_tracker = _greets_as_tracker(device)
    try:
        if not is_tracker:
            return rpc.connect(device.host, device.port, device.key)
        tracker = rpc.connect_tracker(device.host, device.port)
        _require_key(tracker.summary(), device)
        return tracker.request(device.key, max_retry=1)
    except DeviceUnreachable:
        raise
    # TVM raises whatever its sockets and handshakes raise; all of it means that nobody answers.
    except Exception as error:
        raise DeviceUnreachable(
            f"{device.name} must be a server of TVM's that takes "
            f"{'the key ' + repr(device.key) if device.key else 'clients without a key'}: "
            f"{last_line(error)}"
        ) from error


def _greets_as_tracker(device: Device) -> bool:
    """Tell a tracker from a server, once it is sure that somebody listens at all."""
    from tvm.rpc import base

    magic = struct.pack("<i", base.RPC_TRACKER_MAGIC)
    try:
        with socket.create_connection((device.host, device.port), GREETING_SECONDS) as peer:
            if not device.key:
                return False  # a server is not asked: it would have to drop this connection
            peer.sendall(magic)
            return peer.recv(len(magic)) == magic
    except TimeoutError as error:
        raise DeviceUnreachable(
            f"{device.name} must answer within {GREETING_SECONDS:g} s and did not; "
            "is the address right, and is nobody else using the server?"
        ) from error
    except ConnectionResetError:
        return False
    except OSError as error:
        raise DeviceUnreachable(
            f"{device.name} must have a server of TVM's listening "
            f"(python -m tvm.exec.rpc_server), got: {error.strerror or error}"
        ) from error


def _require_key(summary: dict[str, Any], device: Device) -> None:
    """Refuse a key that no board has: a tracker would let us wait for ever."""
    keys = {str(one["key"]).removeprefix("server:") for one in summary["server_info"]}
    if device.key not in keys:
        known = ", ".join(sorted(keys)) or "none"
        raise DeviceUnreachable(
            f"a board with the key {device.key!r} must be registered with the tracker at "
            f"{device.host}:{device.port}; it has {known}"
        )
