"""Everything cmpc_kernels raises on purpose.

KernelsError
+-- BadArgument (ValueError)   a value, shape or dtype breaks a stated condition
+-- BadIndexFile (ValueError)  an index file is truncated, altered or of another version
"""

__all__ = ["BadArgument", "BadIndexFile", "KernelsError"]


class KernelsError(Exception):
    """Base of every error of the retrieval core that a user can act on."""

    exit_code = 1


class BadArgument(KernelsError, ValueError):
    """A value, shape or dtype breaks a stated condition."""

    exit_code = 2


class BadIndexFile(KernelsError, ValueError):
    """An index file is truncated, altered or of another version."""
