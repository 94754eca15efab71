"""Time again while the timing may not be trusted, and keep the quietest of all."""

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["quietest"]

Timed = TypeVar("Timed")


def quietest(
    attempt: Callable[[], Timed], disquiet: Callable[[Timed], tuple[Any, ...]], max_attempts: int
) -> Timed:
    """Return the best of up to ``max_attempts`` timings, at least one.

    Args:
        attempt: Times once; what it raises ends all.
        disquiet: Orders timings, the quietest first: how many doubts there are, then what else
            counts. Nothing is timed again once there are none.
    """
    best = attempt()
    for _ in range(1, max_attempts):
        if not disquiet(best)[0]:
            break
        best = min(best, attempt(), key=disquiet)
    return best
