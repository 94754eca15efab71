"""Everything the command line itself raises on purpose; each lower package has its own tree.

CmpcError
+-- BadOutput (ValueError)        what shall be written would take something from its user
+-- BadSettings (ValueError)      a settings file, a variable or a flag says what can't be
+-- OutputFailed                  the answer can't be written to standard output
+-- UntrustedTiming               what was asked for is a latency, and it may not be trusted
"""

from cmpc_base.errors import CmpcError

__all__ = [
    "EXIT_CODES",
    "BadOutput",
    "BadSettings",
    "OutputFailed",
    "UntrustedTiming",
]

EXIT_CODES = {
    0: "done",
    1: "it ran, and found or failed something",
    2: "wrong usage, settings or argument",
    3: "an answer that may not be trusted: an unstable timing, a budget that was not met",
    4: "the device can't be reached",
    130: "interrupted",
}
"""What a program may read from the code that a command exits with."""


class BadOutput(CmpcError, ValueError):
    """What shall be written is what is read, a folder, or a file of another kind."""

    exit_code = 2


class BadSettings(CmpcError, ValueError):
    """A settings file, an environment variable or a flag says what can't be."""

    exit_code = 2


class OutputFailed(CmpcError):
    """The answer can't be written to standard output."""


class UntrustedTiming(CmpcError):
    """All work is done and kept, but a latency in the answer may not be trusted."""

    exit_code = 3
