"""What a user reads when a command fails, and the exit code that goes with it.

    an error of cmpc's own              its own words              its own exit code
    a library that is not there        which extra to install     2
    a file, disk or memory that fails  what the system says       1
    Ctrl-C                             "interrupted"              130
    anything else                      that it is a bug of ours   1

The table of exit codes for users is in docs/cli.md.
"""

import re

import click

from cmpc_base.errors import CmpcError
from cmpc_base.libraries import EXTRA_OF_LIBRARY, missing_library
from cmpc_base.machine_faults import machine_fault
from cmpc_base.printable import one_line, screen_text

__all__ = ["as_click_error"]

ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # of an object in memory: another one in each process
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def failure(message: str, exit_code: int) -> click.ClickException:
    """Return a message for stderr with the exit code that goes with it."""
    told = click.ClickException(screen_text(message))
    told.exit_code = exit_code  # type: ignore[misc]  # Click reads it from the instance
    return told


def as_click_error(error: BaseException) -> click.ClickException:
    """Return what Click shall show, and exit with, for an error that left a command."""
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return failure("interrupted", INTERRUPTED)
    if isinstance(error, CmpcError):
        return failure(str(error), error.exit_code)
    if isinstance(error, ModuleNotFoundError) and error.name:
        library = error.name.partition(".")[0]
        if library in EXTRA_OF_LIBRARY:
            return as_click_error(missing_library(library))
    if isinstance(error, OSError) and error.strerror:
        named = error.filename2 or error.filename  # of a renaming the second is what was wanted
        return failure(f"{named or 'the system says'}: {error.strerror}", 1)
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return failure(name_that_is_no_text(error.object), 2)
    if fault := machine_fault(error):
        return failure(f"the machine refused what this needs: {fault}", 1)
    return failure(bug_report(error), 1)


def name_that_is_no_text(text: str) -> str:
    """Say which name a library can't take; such a text is part of a path, or of what is in one."""
    return f"a name must be text in UTF-8 here, got {screen_text(text)[:200]}; rename the file"


def bug_report(error: BaseException) -> str:
    """Own up to an error that nobody foresaw, in one line."""
    text = one_line(ADDRESS.sub("", str(error))) or "no message"
    kind = type(error).__name__
    return f"this is a bug in cmpc ({kind}: {text}); `cmpc --debug ...` shows where it happened"
