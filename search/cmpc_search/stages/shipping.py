"""Which compiled network ships, and what is known of its cost? The very file that was measured.

    evaluation.json names a library by its hash --> kept in the run, or in the cache, or compiled
                                                    again to the same bytes? --> that file ships
        no, or it is of another seed or target, or was never measured:
                    compiled today --> measured now, where the target can be --> that file ships
                        else it ships unmeasured, and says why

The schedules change whenever somebody tunes, so compiling again may well give another library.
"""

from dataclasses import dataclass
from pathlib import Path

from cmpc_base.cache import Cache
from cmpc_base.hashing import file_hash
from cmpc_base.progress import SILENT, Observer
from cmpc_cost_models import Cost, Measurement, Target
from cmpc_cost_models.compiling.entries import find_compiled
from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.errors import DeviceUnreachable
from cmpc_cost_models.records import CompiledNetwork
from cmpc_cost_models.schedules.source import open_schedules
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.targets.machine import cpu_model
from cmpc_search.runs import RunFolder
from cmpc_search.runs.evaluation import read_evaluation
from cmpc_search.stages.costs import make_meter
from cmpc_search.stages.run_material import search_settings_of, target_of
from cmpc_search.stages.trained_picks import TrainedPick

__all__ = ["ShippedNetwork", "Shipper"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShippedNetwork:
    """A compiled network with all that is known of its cost.

    Attributes:
        cost: Of this very library; measured, or predicted where that is all there is.
        doubts: Why the cost may not be trusted.
        why_unmeasured: Why it was never measured; None where it was.
    """

    compiled: CompiledNetwork
    cost: Cost | None = None
    doubts: tuple[str, ...] = ()
    why_unmeasured: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Shipper:
    """Finds, or makes and measures, what ships of one trained network.

    Attributes:
        cache_dir: Where networks are compiled to, and tuned schedules and runtimes are kept.
    """

    run: RunFolder
    trained: TrainedPick
    target: Target
    cache_dir: Path
    observer: Observer = SILENT

    def evaluated(self) -> ShippedNetwork | None:
        """Return the library that `cmpc evaluate` named, if it is of this network.

        It is None where that file is gone and today's schedules don't give the same one.

        Raises:
            BadRun: the evaluation can't be read.
            CompileFailed: the network does not compile.
        """
        evaluation = read_evaluation(self.run)
        cost = None if evaluation is None else evaluation.query_cost.latency
        if evaluation is None or cost is None or cost.artefact_sha256 is None:
            return None
        compiled = self._kept(cost.artefact_sha256) or self.compiled()
        if compiled.sha256 != cost.artefact_sha256:
            return None
        if compiled.graph_sha256 != file_hash(self.trained.onnx_path):
            return None
        why = None if cost.source == "measured" else f"its latency was {cost.source}"
        doubts = evaluation.query_cost.unstable_reasons
        return ShippedNetwork(compiled=compiled, cost=cost, doubts=doubts, why_unmeasured=why)

    def compiled(self) -> CompiledNetwork:
        """Compile the network with the schedules of today, or find what an earlier call made.

        Raises:
            CompileFailed: it does not compile.
        """
        return compile_network(
            self.trained.onnx_path,
            self.target,
            cache_dir=self.cache_dir,
            schedules=open_schedules(self.schedules_dir, self.target, self._cpu_model),
        )

    def shipped(self) -> ShippedNetwork:
        """Return what ships: what was measured, else what is measured now, else as it is.

        Raises:
            CompileFailed: the network does not compile.
        """
        found = self.evaluated()
        if found is not None and found.why_unmeasured is None:
            return found
        if self.device.kind == "none":
            why = f"{self.target.name} can't be measured here: {self.target.why_not_here()}"
            return found or ShippedNetwork(compiled=self.compiled(), why_unmeasured=why)
        if found is None:
            self.observer.notice(
                "no library of this network was measured, or it is gone, and another is compiled "
                "today: that one is measured now"
            )
        return self._measured_now(found)

    @property
    def device(self) -> Device:
        """Where to measure: a device that the search measured on, else this machine if it can."""
        named = search_settings_of(self.run).device
        if named is not None and self.target == target_of(self.run):
            device = Device.named(named)
            if device.kind == "rpc":
                return device
        return Device.default_for(self.target)

    @property
    def _cpu_model(self) -> str | None:
        """The processor that networks are timed on; None where it is not this machine's."""
        return cpu_model() if self.device.kind == "local" else None

    @property
    def schedules_dir(self) -> Path:
        return Cache(self.cache_dir).schedules

    def _kept(self, sha256: str) -> CompiledNetwork | None:
        """Return the library of this hash from the run, or from the cache if that still has it."""
        cache = Cache(self.cache_dir)
        cache.join()
        folders = (self.run.compiled_path, cache.compiled)
        found = (find_compiled(folder, sha256, self.target) for folder in folders)
        return next(filter(None, found), None)

    def _measured_now(self, found: ShippedNetwork | None) -> ShippedNetwork:
        measurement = self._measure()
        if measurement.cost is None or measurement.compiled is None:
            why = f"measuring it failed: {measurement.error}"
            return found or ShippedNetwork(compiled=self.compiled(), why_unmeasured=why)
        return ShippedNetwork(
            compiled=measurement.compiled,
            cost=measurement.cost,
            doubts=measurement.unstable_reasons,
        )

    def _measure(self) -> Measurement:
        meter = make_meter(self.target, self.device, cache_dir=self.cache_dir)
        try:
            with meter:
                return meter.measure(self.trained.onnx_path)
        except DeviceUnreachable as error:
            return Measurement(error=str(error))
