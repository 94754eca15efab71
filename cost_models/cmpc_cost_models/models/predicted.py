"""What would a network cost on a processor that is not here? Compile it, check it, predict it.

    ONNX --> compile, cross-link --> same answer as ONNX Runtime, run here or under qemu-user?
     \\--> fused kernels --> roofline of the target's table, summed --> latency, ``predicted``
               \\--> a node without a kernel of ours: nobody knows, ``Unknown``

The library is the one that would ship. Only its answer is taken from an emulator, never its time.
Where it can't be executed, that is said beforehand (``PredictedMeter.lacking``) and stands in each
cost: ``machine["executed"]``.
"""

from pathlib import Path
from typing import Any

from cmpc_base.closeable import Closeable
from cmpc_cost_models.errors import ProgramFailed
from cmpc_cost_models.records import CompiledNetwork, Cost, Measurement, Unknown
from cmpc_cost_models.sites.agreement import Agreement, check_images
from cmpc_cost_models.sites.emulated import ProgramStage
from cmpc_cost_models.targets.machine import describe_versions
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.targets.toolchain import Toolchain, find_toolchain
from cmpc_cost_models.workers.process import WorkerProcess

__all__ = ["PredictedMeter"]

WORKER = "cmpc_cost_models.models.prediction_worker"
NUM_THREADS = 1
LIMIT_SECONDS = 120.0


class PredictedMeter(Closeable):
    """Predicts latencies, one network after the other; each is compiled, and checked if possible.

    Args:
        cache_dir: Where compiled networks are kept.
        runtime_dir: The cache that ``cmpc targets fetch`` fills.
        schedules_dir: Where tuned schedules are kept; without it rules of our own choose.
        limit_seconds: Time limit for each of compiling and predicting one network.
    """

    def __init__(
        self,
        target: Target,
        *,
        cache_dir: Path,
        runtime_dir: Path,
        schedules_dir: Path | None = None,
        limit_seconds: float = LIMIT_SECONDS,
    ) -> None:
        self.target = target
        self.toolchain: Toolchain = find_toolchain(target, cache_dir=runtime_dir)
        self._cache_dir = cache_dir
        self._schedules_dir = schedules_dir
        self._limit_seconds = limit_seconds
        self._worker = WorkerProcess(num_threads=NUM_THREADS, module=WORKER)
        self._stage = ProgramStage(self.toolchain)

    def close(self) -> None:
        """End the worker and drop what was built for checking."""
        self._worker.close()
        self._stage.close()

    @property
    def lacking(self) -> tuple[str, ...]:
        """Why networks are not executed here, each with a remedy; empty if they are."""
        return self.toolchain.lacking

    def measure(self, onnx_path: Path) -> Measurement:
        """Compile, check and predict one network; a failure is a measurement with an error.

        Where some of its nodes have no model, the measurement is unknown and names them.
        """
        target = self.target.to_json()
        request = {
            "target": target,
            "cache_dir": str(self._cache_dir),
            "num_threads": NUM_THREADS,
            "schedules_dir": self._schedules_dir and str(self._schedules_dir),
        }
        answer = self._ask("compile", onnx_path, request)
        if "error" in answer:
            return Measurement(error=answer["error"])
        compiled = CompiledNetwork.from_json(answer["result"])
        if self.toolchain.can_execute:
            error = self._why_wrong(onnx_path, compiled)
            if error is not None:
                return Measurement(error=error, compiled=compiled)
        answer = self._ask("predict", onnx_path, {"target": target})
        if "error" in answer:
            return Measurement(error=answer["error"], compiled=compiled)
        if reasons := answer["result"].get("unknown_reasons"):
            return Measurement(unknown=Unknown(tuple(reasons)), compiled=compiled)
        cost = self._cost(compiled, answer["result"])
        return Measurement(cost=cost, compiled=compiled, is_stable=True)

    def measure_interleaved(self, onnx_paths: list[Path]) -> list[Measurement]:
        """Predict several networks; nothing is timed, so their order has no meaning."""
        return [self.measure(path) for path in onnx_paths]

    def _why_wrong(self, onnx_path: Path, compiled: CompiledNetwork) -> str | None:
        shape = list(compiled.input_shape)
        try:
            answers = [self._stage.run(compiled, image).tolist() for image in check_images(shape)]
        except ProgramFailed as error:
            return str(error)
        answer = self._ask("judge", onnx_path, {"input_shape": shape, "answers": answers})
        if "error" in answer:
            return str(answer["error"])
        return Agreement.from_json(answer["result"]).objection

    def _ask(self, verb: str, onnx_path: Path, details: dict[str, Any]) -> dict[str, Any]:
        request = {"verb": verb, "onnx_path": str(onnx_path)} | details
        return self._worker.ask(request, limit_seconds=self._limit_seconds)

    def _cost(self, compiled: CompiledNetwork, prediction: dict[str, Any]) -> Cost:
        emulator = self.toolchain.emulator or ()
        return Cost(
            name="latency",
            value=prediction["seconds"] * 1e3,
            unit="ms",
            source="predicted",
            estimator="roofline",
            target=self.target.name,
            machine={
                "prediction": "roofline of the target's table, summed over the fused kernels",
                "num_kernels": prediction["num_kernels"],
                "num_threads": NUM_THREADS,
                "peak_gflops": self.target.peak_gflops,
                "memory_gb_per_s": self.target.memory_gb_per_s,
                "executed": self.toolchain.can_execute,
                "emulator": Path(emulator[0]).name if emulator else None,
            },
            versions=describe_versions(),
            artefact_sha256=compiled.sha256,
            kernel_origins=compiled.num_kernels_by_origin(),
        )
