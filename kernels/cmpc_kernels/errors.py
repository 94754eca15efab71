"""Everything cmpc_kernels raises on purpose.

KernelsError
+-- BadArgument (ValueError)      a value, shape or dtype breaks a stated condition
+-- BadIndexFile (ValueError)     an index file is truncated, altered or of another version
+-- MissingPackage (ImportError)  what the caller asked for needs an extra that is not installed
"""

__all__ = ["BadArgument", "BadIndexFile", "KernelsError", "MissingPackage"]


class KernelsError(Exception):
    """Base of every error of the retrieval core that a user can act on."""

    exit_code = 1


class BadArgument(KernelsError, ValueError):
    """A value, shape or dtype breaks a stated condition."""

    exit_code = 2


class BadIndexFile(KernelsError, ValueError):
    """An index file is truncated, altered or of another version."""


class MissingPackage(KernelsError, ImportError):
    """A package of an extra, such as FAISS, is not installed."""

    exit_code = 2
