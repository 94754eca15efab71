"""When is an answer given but not to be trusted? What ends a command with exit code 3.

The work is done, shown and kept before anybody asks here: a script that reads the code knows that
the numbers are marked, and a person reads why.
"""

from collections.abc import Iterable

from cmpc.errors import UntrustedTiming
from cmpc_base.names import few
from cmpc_search.errors import CostUnknown

__all__ = ["known_or_raise", "trust_or_raise"]

MAX_REASONS = 4


def trust_or_raise(reasons: Iterable[str]) -> None:
    """Do nothing when there is no reason for doubt.

    Raises:
        UntrustedTiming: there is one.
    """
    if told := _in_few_words(reasons):
        raise UntrustedTiming(
            f"measured times are marked as unstable, measure again on a quiet machine: {told}"
        )


def known_or_raise(reasons: Iterable[str]) -> None:
    """Do nothing when there is no reason why a cost could not be told.

    Raises:
        CostUnknown: there is one.
    """
    if told := _in_few_words(reasons):
        raise CostUnknown(f"a cost that was asked for is not known: {told}")


def _in_few_words(reasons: Iterable[str]) -> str:
    told = list(dict.fromkeys(reasons))
    return few(told, MAX_REASONS, separator="; ")
