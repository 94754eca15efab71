"""Everything cmpc_cost_models raises on purpose.

CostModelsError
+-- BadArgument (ValueError)       a value breaks a stated condition
|   +-- UnknownTarget              no target has this name
+-- BadNetworkFile (ValueError)    the ONNX file can't be read or uses what is not supported
+-- BadBundle (ValueError)         a bundle is incomplete, altered or for another machine
+-- CompileFailed (RuntimeError)   the chosen network, not a mere candidate, will not build
+-- DeviceUnreachable (OSError)    the machine that should measure does not answer
"""

__all__ = [
    "BadArgument",
    "BadBundle",
    "BadNetworkFile",
    "CompileFailed",
    "CostModelsError",
    "DeviceUnreachable",
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


class CompileFailed(CostModelsError, RuntimeError):
    """The chosen network, not a mere candidate, will not build."""


class DeviceUnreachable(CostModelsError, OSError):
    """The machine that should measure does not answer."""

    exit_code = 4
