"""Start the command line: what `cmpc` and `python -m cmpc` both run."""

from cmpc.cli import command_line

__all__ = ["main"]


def main() -> None:
    """Run the command line on the arguments of this process, then exit with its code."""
    command_line(prog_name="cmpc")


if __name__ == "__main__":
    main()
