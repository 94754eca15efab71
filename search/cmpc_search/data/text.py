"""Text that people type, brought to one spelling, so that equal names compare equal.

A trailing blank of a spreadsheet, or an accent that one system writes as one character and another
as two, would otherwise make two classes of one.
"""

import unicodedata

__all__ = ["normalised_text"]


def normalised_text(text: str) -> str:
    """Return ``text`` in NFC, without blanks at its ends, inner runs of them made one space."""
    return " ".join(unicodedata.normalize("NFC", text).split())
