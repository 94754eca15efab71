"""How long does a network take on a device? Like ``measured.LatencyMeter``, through TVM's RPC.

    ONNX --> compile here --> send --> same answer as ONNX Runtime here? --> time there, in blocks

A device says nothing of what else it does: a verdict rests on its blocks alone, in rounds as here,
and each cost names what was not observed. What goes wrong with a network while the device goes on
answering is that network's result. When the device itself is gone, ``DeviceUnreachable`` ends the
work: the next network would fare no better.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from cmpc_base.closeable import Closeable
from cmpc_cost_models.errors import BadArgument, DeviceUnreachable
from cmpc_cost_models.models.costs import measurement_of
from cmpc_cost_models.records import CompiledNetwork, Measurement
from cmpc_cost_models.sites.agreement import Agreement
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.timing.blocks import Blocks
from cmpc_cost_models.timing.settings import MeasureSettings
from cmpc_cost_models.workers.process import WorkerProcess

__all__ = ["RemoteMeter"]

WORKER = "cmpc_cost_models.sites.remote_worker"
NUM_THREADS = 1
CONNECT_SECONDS = 20.0
NOT_OBSERVED = (
    "what else the device does meanwhile",
    "its clock and temperature",
    "how fast it was before, and the reference network",
)
UNKNOWN_PROCESSOR = "whether its processor is the target's: its TVM does not tell"


class RemoteMeter(Closeable):
    """Measures networks on a device, one after the other.

        with RemoteMeter(target, Device.named("rpc://board:9090"), cache_dir=cache) as meter:
            measurement = meter.measure(path)

    Args:
        cache_dir, schedules_dir: Of compiled networks and of tuned schedules, here.
        connect_seconds: How long the device may take to answer at all.

    Raises:
        DeviceUnreachable: from any method, when the device does not answer.
        BadArgument: the device says that it is of another architecture than ``target``.
    """

    def __init__(
        self,
        target: Target,
        device: Device,
        *,
        cache_dir: Path,
        schedules_dir: Path | None = None,
        settings: MeasureSettings | None = None,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self.target = target
        self.device = device
        self.settings = settings or MeasureSettings()
        self._cache_dir = cache_dir
        self._schedules_dir = schedules_dir
        self._connect_seconds = connect_seconds
        self._worker = WorkerProcess(num_threads=NUM_THREADS, module=WORKER)
        self._facts: dict[str, Any] = {}

    def __enter__(self) -> Self:
        """Reach the device at once: what is unplugged should be told before any work."""
        try:
            self.connect()
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """End the worker, and with it the session."""
        self._worker.close()

    def connect(self) -> None:
        """Open a session with the device, or another in place of one that is lost."""
        request = {"verb": "connect", "device": self.device.to_json()}
        answer = self._worker.ask(request, limit_seconds=self._connect_seconds)
        if "error" in answer:
            raise DeviceUnreachable(_with_name(self.device, answer["error"]))
        self._facts = answer["result"]
        architecture = (self._facts.get("triple") or self.target.triple).partition("-")[0]
        if architecture != self.target.architecture:
            raise BadArgument(
                f"target {self.target.name} needs a {self.target.architecture} processor and "
                f"{self.device.name} is {architecture}; name another target or device"
            )

    def measure(self, onnx_path: Path) -> Measurement:
        """Compile, send, check and time one network; a failure is a measurement with an error."""
        return self.measure_interleaved([onnx_path])[0]

    def measure_interleaved(self, onnx_paths: list[Path]) -> list[Measurement]:
        """Measure networks block by block in turn; those that fail come back with their error."""
        prepared = [self._prepare(path) for path in onnx_paths]
        good = [one for one in prepared if isinstance(one, CompiledNetwork)]
        timed = iter(self._time(good) if good else [])
        return [next(timed) if isinstance(one, CompiledNetwork) else one for one in prepared]

    def _prepare(self, onnx_path: Path) -> CompiledNetwork | Measurement:
        """Return the network compiled and checked, or the measurement that says why not."""
        request = {
            "verb": "compile",
            "onnx_path": str(onnx_path),
            "target": self.target.to_json(),
            "cache_dir": str(self._cache_dir),
            "num_threads": NUM_THREADS,
            "schedules_dir": self._schedules_dir and str(self._schedules_dir),
        }
        limit = self.settings.limit_seconds
        answer = self._worker.ask(request, limit_seconds=limit)
        if "error" in answer:
            return Measurement(error=answer["error"])
        compiled = CompiledNetwork.from_json(answer["result"])
        answer = self._ask_device("check", _as_request(compiled) | {"onnx_path": str(onnx_path)})
        if "error" in answer:
            return Measurement(error=answer["error"], compiled=compiled)
        objection = Agreement.from_json(answer["result"]).objection
        return Measurement(error=objection, compiled=compiled) if objection else compiled

    def _time(self, networks: list[CompiledNetwork]) -> list[Measurement]:
        request = {
            "networks": [_as_request(one) for one in networks],
            "settings": asdict(self.settings.timing),
        }
        best: list[Measurement] = []
        for _ in range(self.settings.max_attempts):
            answer = self._ask_device("time", request)
            if "error" in answer:
                return [Measurement(error=answer["error"], compiled=one) for one in networks]
            blocks = Blocks.from_json(answer["result"])
            attempt = [self._measurement(one, blocks, at) for at, one in enumerate(networks)]
            best = min(best, attempt, key=_num_doubts) if best else attempt
            if all(one.is_stable for one in best):
                break
        return best

    def _ask_device(self, verb: str, request: dict[str, Any]) -> dict[str, Any]:
        """Ask for work on the device; raise if it is gone, answer with an error if it is not."""
        request = request | {"verb": verb, "device": self.device.to_json()}
        answer = self._worker.ask(request, limit_seconds=self.settings.limit_seconds)
        if "error" in answer:
            self.connect()
        return answer

    def _measurement(self, network: CompiledNetwork, blocks: Blocks, index: int) -> Measurement:
        return measurement_of(
            network,
            blocks,
            index,
            target=self.target,
            machine={"device": self.device.name, "num_threads": NUM_THREADS, **self._facts},
            not_observed=self._not_observed,
        )

    @property
    def _not_observed(self) -> tuple[str, ...]:
        is_known = self._facts.get("triple") is not None
        return NOT_OBSERVED if is_known else (*NOT_OBSERVED, UNKNOWN_PROCESSOR)


def _as_request(network: CompiledNetwork) -> dict[str, Any]:
    return {"library": str(network.path), "input_shape": list(network.input_shape)}


def _num_doubts(measurements: list[Measurement]) -> int:
    return sum(len(one.unstable_reasons) for one in measurements)


def _with_name(device: Device, error: str) -> str:
    return error if device.name in error else f"{device.name} must answer: {error}"
