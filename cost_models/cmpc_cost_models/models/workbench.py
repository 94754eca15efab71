"""Where networks are made ready to be timed: compiled and checked in a worker that may be lost.

ONNX --> compile (cached) --> same answer as ONNX Runtime? --> CompiledNetwork
                \\__________________\\__ no: a Measurement that says why
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.records import CompiledNetwork, Measurement
from cmpc_cost_models.sites.agreement import Agreement
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.timing.lease import CpuLease
from cmpc_cost_models.timing.settings import MeasureSettings
from cmpc_cost_models.workers.process import WORKER, WorkerProcess

__all__ = ["Workbench"]


@dataclass(kw_only=True)
class Workbench:
    """One worker, and what every request to it has in common.

    Attributes:
        num_threads: How many threads a network is compiled for and run on.
        schedules_dir: Where tuned schedules are kept; without it rules choose.
        module: What the worker runs; it knows the verbs ``compile`` and ``check`` at least.

    Raises:
        BadArgument: the target can't run on this machine, or there are too few processors.
    """

    target: Target
    cache_dir: Path
    num_threads: int
    settings: MeasureSettings
    schedules_dir: Path | None = None
    module: str = WORKER
    lease: CpuLease = field(init=False)
    worker: WorkerProcess = field(init=False)

    def __post_init__(self) -> None:
        if reason := self.target.why_not_here():
            raise BadArgument(
                f"target {self.target.name} can't be measured here, because {reason}; "
                "measure on a machine of that kind"
            )
        self.lease = CpuLease(self.num_threads, wanted=self.settings.cpus)
        self.worker = WorkerProcess(num_threads=self.num_threads, module=self.module)

    def close(self) -> None:
        """End the worker and give its processors back."""
        self.worker.close()
        self.lease.close()

    @property
    def cpus(self) -> tuple[int, ...]:
        """The processors that networks are timed on."""
        return self.lease.cpus

    def prepare(self, onnx_path: Path) -> CompiledNetwork | Measurement:
        """Return the network compiled and checked, or the measurement that says why not."""
        request = {
            "onnx_path": str(onnx_path),
            "cache_dir": str(self.cache_dir),
            "target": self.target.to_json(),
            "num_threads": self.num_threads,
            "schedules_dir": self.schedules_dir and str(self.schedules_dir),
        }
        answer = self.ask("compile", request)
        if "error" in answer:
            return Measurement(error=answer["error"])
        compiled = CompiledNetwork.from_json(answer["result"])
        answer = self.ask("check", {"onnx_path": str(onnx_path), **self.loadable(compiled)})
        if "error" in answer:
            return Measurement(error=answer["error"], compiled=compiled)
        objection = Agreement.from_json(answer["result"]).objection
        return Measurement(error=objection, compiled=compiled) if objection else compiled

    def ask(self, verb: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the worker within the time limit; a worker that hangs or dies is an error text."""
        limit = self.settings.limit_seconds
        return self.worker.ask({"verb": verb, **request}, limit_seconds=limit)

    def loadable(self, network: CompiledNetwork) -> dict[str, Any]:
        """Return what the worker must know to load a network."""
        return {"library": str(network.path), "input_shape": list(network.input_shape)}
