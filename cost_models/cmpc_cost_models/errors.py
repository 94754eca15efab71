"""Everything cmpc_cost_models raises on purpose.

CostModelsError
+-- BadArgument (ValueError)       a value breaks a stated condition
|   +-- UnknownTarget              no target has this name
+-- BadNetworkFile (ValueError)    the ONNX file can't be read or uses what is not supported
+-- BadBundle (ValueError)         a bundle is incomplete, altered or for another machine
+-- BadScheduleDatabase (ValueError)  tuned schedules are damaged or of another layout
+-- CompileFailed (RuntimeError)   the chosen network, not a mere candidate, will not build
+-- DeviceUnreachable (OSError)    the machine that should measure does not answer
+-- MachineFault (OSError)         disk, memory or rights that any work needs are not there
+-- MachineBusy (RuntimeError)     others use the processors that should be timed
+-- PackageNotFetched (OSError)    the package index did not give what cmpc asked for
+-- ProfileFailed (RuntimeError)   the network can't be compiled, checked or timed
+-- ProgramFailed (RuntimeError)   a native program, not a mere candidate's, ended with an error
"""

__all__ = [
    "BadArgument",
    "BadBundle",
    "BadNetworkFile",
    "BadScheduleDatabase",
    "CompileFailed",
    "CostModelsError",
    "DeviceUnreachable",
    "MachineBusy",
    "MachineFault",
    "PackageNotFetched",
    "ProfileFailed",
    "ProgramFailed",
    "UnknownTarget",
]


class CostModelsError(Exception):
    """Base of every error about costs, compiling or measuring that a user can act on."""

    exit_code = 1


class BadArgument(CostModelsError, ValueError):
    """A value breaks a stated condition."""

    exit_code = 2


class UnknownTarget(BadArgument):
    """No target has this name."""


class BadNetworkFile(CostModelsError, ValueError):
    """The ONNX file can't be read or uses what is not supported."""


class BadBundle(CostModelsError, ValueError):
    """A bundle is incomplete, altered or made for another machine."""


class BadScheduleDatabase(CostModelsError, ValueError):
    """The file of tuned schedules is damaged or of another layout."""


class CompileFailed(CostModelsError, RuntimeError):
    """The chosen network, not a mere candidate, will not build."""


class DeviceUnreachable(CostModelsError, OSError):
    """The machine that should measure does not answer."""

    exit_code = 4


class MachineFault(CostModelsError, OSError):
    """The disk, the memory or the rights that any work here needs are not there."""


class MachineBusy(CostModelsError, RuntimeError):
    """Others use the processors that should be timed."""

    exit_code = 3


class PackageNotFetched(CostModelsError, OSError):
    """The package index did not give what was asked for, or gave another file."""


class ProgramFailed(CostModelsError, RuntimeError):
    """A bundle's native program ended with an error, or did not end."""


class ProfileFailed(CostModelsError, RuntimeError):
    """The network can't be compiled, checked or timed, so there is nothing to profile."""
