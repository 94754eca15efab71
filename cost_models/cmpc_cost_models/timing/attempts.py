"""Time again while the timing may not be trusted, and keep the most stable of all."""

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["most_stable"]

Timed = TypeVar("Timed")


def most_stable(
    attempt: Callable[[], Timed], instability: Callable[[Timed], tuple[Any, ...]], max_attempts: int
) -> Timed:
    """Return the best of up to ``max_attempts`` timings, at least one.

    Args:
        attempt: Times once; what it raises ends all.
        instability: Orders timings, the most stable first: how many doubts there are, then what
            else counts. Nothing is timed again once there are none.
    """
    best = attempt()
    for _ in range(1, max_attempts):
        if not instability(best)[0]:
            break
        best = min(best, attempt(), key=instability)
    return best
