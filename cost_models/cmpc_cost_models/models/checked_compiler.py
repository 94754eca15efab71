"""Is a network any good? Compiled in a worker, and held against ONNX Runtime where it will run.

ONNX --> compile (cached) --> same answer as ONNX Runtime? --> CompiledNetwork
                \\__________________\\__ no: a Measurement that says why
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmpc_base.cache import Cache
from cmpc_cost_models.compiling.options import CompileOrder
from cmpc_cost_models.records import CompiledNetwork, Measurement
from cmpc_cost_models.sites.agreement import Agreement
from cmpc_cost_models.sites.process import SiteProcess

__all__ = ["CheckedCompiler", "as_request"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedCompiler:
    """Compiles networks, and checks them at a site.

    Attributes:
        limit_seconds: Time limit for compiling one network.
        check_seconds: Time limit for running it on all images that are compared; ``None`` where it
            can't be run, and goes unchecked.
    """

    site: SiteProcess
    order: CompileOrder
    limit_seconds: float
    check_seconds: float | None

    def compile(self, onnx_path: Path) -> CompiledNetwork | Measurement:
        """Return the network compiled and checked, or the measurement that says why not."""
        Cache(self.order.cache_dir).join()  # the worker that compiles may be lost, this one not
        request = {"onnx_path": str(onnx_path), "order": self.order.to_json()}
        answer = self.site.ask("compile", request, limit_seconds=self.limit_seconds)
        if answer.error is not None:
            return Measurement(error=answer.error)
        compiled = CompiledNetwork.from_json(answer.result)
        error = self._error_of(onnx_path, compiled)
        return compiled if error is None else Measurement(error=error, compiled=compiled)

    def _error_of(self, onnx_path: Path, compiled: CompiledNetwork) -> str | None:
        if self.check_seconds is None:
            return None
        request = {"onnx_path": str(onnx_path), **as_request(compiled)}
        answer = self.site.ask("check", request, limit_seconds=self.check_seconds)
        if answer.error is not None:
            return answer.error
        return Agreement.from_json(answer.result).objection


def as_request(network: CompiledNetwork) -> dict[str, Any]:
    """Return what a worker must know to load a network."""
    return {"library": str(network.path), "input_shape": list(network.input_shape)}
