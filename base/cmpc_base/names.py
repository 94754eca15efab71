"""Names for people: a few of many, and which one a misspelt one was meant to be."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

__all__ = ["few", "nearest", "suggestion"]

LEAST_LIKENESS = 0.5  # of two names, from 0 to 1, that one may have been meant by the other


def few(names: Collection[object], limit: int = 3, *, separator: str = ", ") -> str:
    """Return the first ``limit`` names, and how many more there are: "a, b, c, and 4 more"."""
    shown = separator.join(str(name) for _, name in zip(range(limit), names, strict=False))
    more = len(names) - limit
    return f"{shown}{separator}and {more} more" if more > 0 else shown


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the one of the ``known`` names that ``name`` is most like; None if it is like none."""
    found = get_close_matches(name, sorted(known), n=1, cutoff=LEAST_LIKENESS)
    return found[0] if found else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return "did you mean 'bct'?", or where ``name`` is like none of them, which there are."""
    names = list(known)
    near = nearest(name, names)
    return f"did you mean {near!r}?" if near else f"choose from {', '.join(names)}"
