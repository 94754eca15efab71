"""Printing a report, and what ends a command with exit code 3: an answer not to be trusted.

The work is done, shown and kept before anybody asks here: a script that reads the code knows that
the numbers are marked, and a person reads why.
"""

from collections.abc import Iterable

from cmpc.errors import UntrustedTiming
from cmpc.output import emit, say
from cmpc.reports.base import Report
from cmpc_base.names import few
from cmpc_search.errors import CostUnknown

__all__ = ["known_or_raise", "publish", "require_trust", "trust_or_raise"]

MAX_REASONS = 4


def publish(report: Report, *, as_json: bool) -> None:
    """Print the document or the tables on stdout, and say the sentences.

    Raises:
        OutputFailed: the answer can't be written.
    """
    emit(report.document, next(iter(report.tables), None), as_json=as_json)
    if not as_json:
        for table in report.tables[1:]:
            emit({}, table, as_json=False)
    for sentence in report.sentences:
        say(sentence)


def require_trust(report: Report) -> None:
    """Do nothing if what a report says may be taken as it is.

    Raises:
        CostUnknown: a cost that was asked for is not known.
        UntrustedTiming: a measured time may not be trusted.
    """
    trust_or_raise(report.doubts)
    known_or_raise(report.unknowns)


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
