"""Text that can be shown, stored and sent, made of any file name.

A file name is bytes, and Python keeps those that are no UTF-8 as lone surrogates. Those open the
file, but no terminal, JSON document or safetensors header takes them. The one rule of cmpc: paths
keep them, and text made of a path writes such a byte as ``\\xe9``.

A name may also hold what moves a terminal's cursor or changes its colours. JSON can carry that, a
terminal is spared it.
"""

__all__ = ["last_line", "last_lines", "one_line", "printable", "screen_text"]

MOST_CHARACTERS = 500  # of what a library says of its error
MOST_LINES = 5  # of what a program says

CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


def printable(text: object) -> str:
    """Return ``str(text)`` as UTF-8 can write it: ``caf\\xe9.png`` for a name in Latin-1."""
    shown = str(text)
    try:
        shown.encode("utf-8")
    except UnicodeEncodeError:
        return _escaped(shown)
    return shown


def screen_text(text: object) -> str:
    """Return ``str(text)`` as a terminal may have it: line ends stay, other controls do not."""
    lines = printable(text).split("\n")
    return "\n".join(line.translate(CONTROLS) for line in lines)


def one_line(text: object) -> str:
    """Return ``str(text)`` in one line, each run of blanks and line ends as one blank."""
    return " ".join(str(text).split())


def last_line(error: BaseException) -> str:
    """Return a library's error as its kind and the last line of what it says.

    Compilers tell how they came there first, and what is wrong last.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[-1] if lines else "no message"
    return f"{type(error).__name__}: {said}"[:MOST_CHARACTERS]


def last_lines(talk: str) -> str:
    """Return the end of what a program said in one line, whole lines of it: ``so / and so``."""
    return " / ".join(line.strip() for line in talk.strip().splitlines()[-MOST_LINES:])


def _escaped(text: str) -> str:
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a surrogate that stands for no byte: out of a JSON document, say
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
