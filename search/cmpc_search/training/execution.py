"""Where a training runs, where it is kept on the way, and who hears how far it is."""

from dataclasses import dataclass, field
from pathlib import Path

from cmpc_base.progress import Progress
from cmpc_search.training.compute import Compute, here

__all__ = ["Execution"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """What does not decide what comes of a training; rounding aside, where devices differ.

    Attributes:
        checkpoint: Where the state is kept every ``checkpoint_steps``, and whence a training goes
            on that was killed; None keeps none.
    """

    compute: Compute = field(default_factory=here)
    checkpoint: Path | None = None
    checkpoint_steps: int = 250
    progress: Progress | None = None
