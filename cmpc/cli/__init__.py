"""The command line of cmpc: the group that holds its commands, which cmpc.commands lists."""

import click

from cmpc import __version__
from cmpc.cli.group import CmpcGroup
from cmpc.errors import EXIT_CODES

__all__ = ["command_line"]


@click.group(
    "cmpc",
    cls=CmpcGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: " + "; ".join(f"{code} {what}" for code, what in EXIT_CODES.items()) + ".",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, envvar="CMPC_DEBUG", help="Show the traceback of an error.")
def command_line(debug: bool) -> None:
    """Find, compile and ship the small query network of a visual search system.

    The gallery stays embedded by a large network; cmpc searches a compact one whose embeddings
    live in the same space, measures each candidate on the target, and builds what runs there.

    \b
    Example:
      cmpc doctor
    """
    # CmpcGroup reads `debug` from the context when an error passes by.
