"""Lists of item names as people keep them: a text file with one name a line.

Every command that takes such a list reads it here (`gallery import --ids`, `index remove`,
`query --allow`), so that a list which one of them takes is a list for all of them.
"""

from pathlib import Path

from cmpc_base.errors import BadArgument

__all__ = ["read_names"]


def read_names(path: Path) -> list[str]:
    r"""Return the names in a text file, in its order.

    The file is UTF-8, with or without a byte order mark; lines end in ``\n``, ``\r\n`` or ``\r``.
    Lines that are empty or blank are no names; every other line is one name, kept as it stands,
    and may come more than once.

    Raises:
        BadArgument: the file can't be read, or is in another encoding (the line is told).
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadArgument(f"{path} must be a list of names, and {error.strerror}") from error
    lines = _decoded(content, path).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [line for line in lines if line.strip()]


def _decoded(content: bytes, path: Path) -> str:
    """Decode UTF-8; text of two bytes a letter decodes too, with a zero after each letter."""
    try:
        text = content.decode("utf-8-sig")
        position = content.find(b"\0")
    except UnicodeDecodeError as error:
        text, position = "", error.start
    if position < 0:
        return text
    line = content[:position].count(b"\n") + 1
    raise BadArgument(
        f"{path} must be a text file of names in UTF-8, one a line, and is not from line {line} "
        f"on; save it as UTF-8"
    )
