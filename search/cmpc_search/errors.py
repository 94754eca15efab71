"""Everything cmpc_search raises on purpose.

SearchError
+-- BadArgument (ValueError)        a value breaks a stated condition
+-- BadData (ValueError)            images, labels or splits can't be used as they are
|   +-- DownloadFailed              a package could not be fetched or is damaged
|   +-- UnusablePicture             a file is no picture, is damaged, or can't be read truly
+-- BadEmbeddings (ValueError)      a file of embeddings can't be read or contradicts itself
+-- BadGallery (ValueError)         a gallery network or its embeddings don't fit the data
+-- BadRun (ValueError)             a run folder is incomplete or was made with other settings
+-- FileUnavailable (MachineFault)  the machine can't read a file now; nothing is known about it
+-- StudyUnavailable (RuntimeError) the file of a study is damaged, or another program locks it
+-- BudgetNotMet (RuntimeError)     no candidate stays within the budget
+-- CostUnknown (RuntimeError)      what was asked for is a cost, and nobody can tell it
+-- NothingScored (RuntimeError)    every candidate of a run failed, or none was tried
"""

from cmpc_base import errors

__all__ = [
    "BadArgument",
    "BadData",
    "BadEmbeddings",
    "BadGallery",
    "BadRun",
    "BudgetNotMet",
    "CostUnknown",
    "DownloadFailed",
    "FileUnavailable",
    "NothingScored",
    "SearchError",
    "StudyUnavailable",
    "UnusablePicture",
]


class SearchError(errors.CmpcError):
    """Base of every error about data, training or search that a user can act on."""


class BadArgument(SearchError, errors.BadArgument):
    """A value breaks a stated condition."""


class BadData(SearchError, ValueError):
    """Images, labels or splits can't be used as they are."""


class DownloadFailed(BadData):
    """A package could not be fetched, or what came is damaged."""


class UnusablePicture(BadData):
    """A file is no picture, is damaged, or can't be read truly.

    ``reason`` is for those who name the picture in words of their own.
    """

    def __init__(self, shown: str, reason: str) -> None:
        super().__init__(f"{shown} is not a usable picture: {reason}")
        self.reason = reason


class BadEmbeddings(SearchError, ValueError):
    """A file of embeddings can't be read, or contradicts itself."""


class BadGallery(SearchError, ValueError):
    """A gallery network or its embeddings don't fit the data."""


class BadRun(SearchError, ValueError):
    """A run folder is incomplete, or was made with other settings."""

    exit_code = 2


class FileUnavailable(SearchError, errors.MachineFault):
    """The machine can't read a file now: no permission, a failing disk, too little memory.

    Unlike BadData it says nothing about what is in the file, so it must not be remembered.
    """


class StudyUnavailable(SearchError, RuntimeError):
    """The file of a study is damaged, may not be written, or another program locks it."""


class BudgetNotMet(SearchError, RuntimeError):
    """No candidate stays within the budget."""

    exit_code = 3


class CostUnknown(SearchError, RuntimeError):
    """A cost that was asked for can't be told; what was found without it is kept."""

    exit_code = 3


class NothingScored(SearchError, RuntimeError):
    """Every candidate of a run failed, or none was tried."""
