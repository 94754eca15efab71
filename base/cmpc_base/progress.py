"""How long work tells how far it is; who shows it is the caller's business."""

from collections.abc import Callable
from contextlib import AbstractContextManager

__all__ = ["Progress", "ShowProgress"]

Progress = Callable[[int, int], None]
"""Called with how many steps are done, and of how many."""

ShowProgress = Callable[[str], AbstractContextManager[Progress]]
"""Shows how far a part is, under the name that it is given."""
