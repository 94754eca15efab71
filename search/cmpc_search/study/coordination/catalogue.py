"""The coordinators by name; a new one is a new file and a row here."""

from collections.abc import Callable
from pathlib import Path

from cmpc_base.registry import Registry
from cmpc_search.study.coordination.base import Coordinator

__all__ = ["COORDINATORS"]

COORDINATORS: Registry[Callable[[Path], Coordinator]] = Registry(
    "coordinator", {"files": "cmpc_search.study.coordination.files:FileCoordinator"}
)
