"""Everything cmpc_kernels raises on purpose.

CmpcError
+-- KernelsError
    +-- BadArgument (ValueError)  a value, shape or dtype breaks a stated condition
    +-- BadCertificate (BadFile)  a certificate of a search is none, or does not hold
    +-- BadIndexFile (BadFile)    an index file is truncated, altered or of another version
    +-- EngineFault               another engine can't be reached, or refuses
    +-- IndexChanged              somebody else changed an index since it was opened
"""

from cmpc_base import errors

__all__ = [
    "BadArgument",
    "BadCertificate",
    "BadIndexFile",
    "EngineFault",
    "IndexChanged",
    "KernelsError",
]


class KernelsError(errors.CmpcError):
    """Base of every error of the retrieval core that a user can act on."""


class BadArgument(KernelsError, errors.BadArgument):
    """A value, shape or dtype breaks a stated condition."""


class BadCertificate(KernelsError, errors.BadFile):
    """A certificate of a search can't be read, or what it says is not so."""


class BadIndexFile(KernelsError, errors.BadFile):
    """An index file is truncated, altered or of another version."""


class EngineFault(KernelsError):
    """Another engine can't be reached, or refuses what is asked of it."""


class IndexChanged(KernelsError):
    """Somebody else changed an index since it was opened; nothing of theirs was touched."""
