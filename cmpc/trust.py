"""When is an answer given but not to be trusted? What ends a command with exit code 3.

The work is done, shown and kept before anybody asks here: a script that reads the code knows that
the numbers are marked, and a person reads why.
"""

from collections.abc import Iterable

from cmpc.errors import UntrustedTiming

__all__ = ["trust_or_raise"]

MAX_REASONS = 4


def trust_or_raise(reasons: Iterable[str]) -> None:
    """Do nothing when there is no reason for doubt.

    Raises:
        UntrustedTiming: there is one.
    """
    told = list(dict.fromkeys(reasons))
    if not told:
        return
    more = f"; and {len(told) - MAX_REASONS} more" if len(told) > MAX_REASONS else ""
    raise UntrustedTiming(
        f"measured times are marked as unstable, measure again on a quiet machine: "
        f"{'; '.join(told[:MAX_REASONS])}{more}"
    )
