"""Where does a network run to be measured? Names of devices, read and checked; nothing is opened.

local                    this machine
rpc://HOST:PORT          a server of TVM's: python -m tvm.exec.rpc_server
rpc://HOST:PORT/KEY      a tracker of TVM's, which hands out the boards that know KEY
none                     nowhere: latencies are predicted
"""

from dataclasses import asdict, dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.targets.target import Target

__all__ = ["LOCAL", "NOWHERE", "Device"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """A machine that can run networks.

    Attributes:
        kind: ``local``, ``rpc`` or ``none``.
        host, port: Where the server or the tracker of an ``rpc`` device listens.
        key: What kind of board to ask the tracker for; empty for a server.
    """

    kind: str
    host: str = ""
    port: int = 0
    key: str = ""

    @classmethod
    def named(cls, name: str) -> Self:
        """Read the name of a device.

        Raises:
            BadArgument: it is none.
        """
        if name in ("local", "none"):
            return cls(kind=name)
        parts = urlsplit(name)
        try:
            port = parts.port
        except ValueError:  # no number, or out of range
            port = None
        key = parts.path.strip("/")
        is_plain = not (parts.query or parts.fragment or parts.username or "/" in key)
        if parts.scheme != "rpc" or not parts.hostname or not port or not is_plain:
            raise BadArgument(
                "a device must be `local`, `none`, `rpc://HOST:PORT` for a server or "
                f"`rpc://HOST:PORT/KEY` for a tracker, got {name!r}"
            )
        return cls(kind="rpc", host=parts.hostname, port=port, key=key)

    @classmethod
    def default_for(cls, target: Target) -> Self:
        """Return this machine where it can run the target's code, and no device otherwise."""
        return cls(kind="local" if target.runs_here else "none")

    @property
    def name(self) -> str:
        """What ``named`` reads."""
        if self.kind != "rpc":
            return self.kind
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"rpc://{host}:{self.port}" + (f"/{self.key}" if self.key else "")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


LOCAL = Device(kind="local")
NOWHERE = Device(kind="none")
