"""Everything cmpc_cost_models raises on purpose.

CostModelsError
+-- BadArgument (ValueError)       a value breaks a stated condition
|   +-- UnknownTarget              no target has this name
+-- BadNetworkFile (BadFile)    the ONNX file can't be read or uses what is not supported
+-- BadBundle (BadFile)         a bundle is incomplete, altered or for another machine
+-- BadScheduleDatabase (BadFile)  tuned schedules are damaged or of another layout
+-- CompileFailed (RuntimeError)   the chosen network, not a mere candidate, will not build
+-- DeviceUnreachable (OSError)    the machine that should measure does not answer
+-- MachineBusy (RuntimeError)     others use the processors that should be timed
+-- PackageNotFetched (OSError)    the package index did not give what cmpc asked for
+-- ProfileFailed (RuntimeError)   the network can't be compiled, checked or timed
+-- ProgramFailed (RuntimeError)   a native program, not a mere candidate's, ended with an error
"""

from cmpc_base import errors

__all__ = [
    "BadArgument",
    "BadBundle",
    "BadNetworkFile",
    "BadScheduleDatabase",
    "CompileFailed",
    "CostModelsError",
    "DeviceUnreachable",
    "MachineBusy",
    "PackageNotFetched",
    "ProfileFailed",
    "ProgramFailed",
    "UnknownTarget",
]


class CostModelsError(errors.CmpcError):
    """Base of every error about costs, compiling or measuring that a user can act on."""


class BadArgument(CostModelsError, errors.BadArgument):
    """A value breaks a stated condition."""


class UnknownTarget(BadArgument, errors.UnknownName):
    """No target has this name."""


class BadNetworkFile(CostModelsError, errors.BadFile):
    """The ONNX file can't be read or uses what is not supported."""


class BadBundle(CostModelsError, errors.BadFile):
    """A bundle is incomplete, altered or made for another machine."""


class BadScheduleDatabase(CostModelsError, errors.BadFile):
    """The file of tuned schedules is damaged or of another layout."""


class CompileFailed(CostModelsError, RuntimeError):
    """The chosen network, not a mere candidate, will not build."""


class DeviceUnreachable(CostModelsError, OSError):
    """The machine that should measure does not answer."""

    exit_code = 4


class MachineBusy(CostModelsError, RuntimeError):
    """Others use the processors that should be timed."""

    exit_code = 3


class PackageNotFetched(CostModelsError, OSError):
    """The package index did not give what was asked for, or gave another file."""


class ProgramFailed(CostModelsError, RuntimeError):
    """A bundle's native program ended with an error, or did not end."""


class ProfileFailed(CostModelsError, RuntimeError):
    """The network can't be compiled, checked or timed, so there is nothing to profile."""
