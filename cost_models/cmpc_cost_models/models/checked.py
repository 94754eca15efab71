"""Is a network any good, before anybody asks what it costs? Compiled, and run once for its answer.

    ONNX --> compile, cross-link --> same answer as ONNX Runtime, run here or under qemu-user?
     \\--> cost model --> Cost, or Unknown

The library is the one that would ship. Only its answer is taken from an emulator, never its time.
Where it can't be executed, that is said beforehand (``note``) and stands in each cost's evidence.
"""

from dataclasses import replace
from pathlib import Path

from cmpc_cost_models.compiling.options import CompileOrder
from cmpc_cost_models.models.base import CostModel
from cmpc_cost_models.models.checked_compiler import CheckedCompiler
from cmpc_cost_models.records import CompiledNetwork, Cost, Measurement, Unknown
from cmpc_cost_models.records.evidence import PredictionEvidence
from cmpc_cost_models.sites.emulated import PROGRAM_SECONDS
from cmpc_cost_models.sites.process import SiteProcess
from cmpc_cost_models.targets.toolchain import Toolchain

__all__ = ["CheckedModel"]

LIMIT_SECONDS = 120.0  # to compile one network
CHECK_SECONDS = 2 * PROGRAM_SECONDS  # for all images that are compared


class CheckedModel(CostModel):
    """A cost model that is asked of networks that compile and, if they can be run, answer rightly.

    Args:
        model: Who predicts.
        toolchain: What compiles for the target, and runs its code here.
    """

    def __init__(
        self,
        model: CostModel,
        order: CompileOrder,
        toolchain: Toolchain,
    ) -> None:
        self._model = model
        self._toolchain = toolchain
        target = order.target.to_json()
        site = {"kind": "emulated", "target": target, "cache_dir": str(order.cache_dir)}
        self._site = SiteProcess(site, num_threads=order.num_threads)
        self._compiler = CheckedCompiler(
            site=self._site,
            order=order,
            limit_seconds=LIMIT_SECONDS,
            check_seconds=CHECK_SECONDS if toolchain.can_execute else None,
        )

    def close(self) -> None:
        """End the worker and drop what was built for checking."""
        self._site.close()
        self._model.close()

    def estimate(self, onnx_path: Path) -> Cost | Unknown:
        """Return what the model says; nothing is compiled for that."""
        return self._model.estimate(onnx_path)

    def measure(self, onnx_path: Path) -> Measurement:
        """Compile, check and predict one network; a failure is a measurement with an error."""
        compiled = self._compiler.compile(onnx_path)
        if not isinstance(compiled, CompiledNetwork):
            return compiled
        found = self._model.measure(onnx_path)
        cost = found.cost and self._with_evidence(found.cost, compiled)
        return replace(found, cost=cost, compiled=compiled)

    @property
    def note(self) -> str:
        note = self._model.note or ""
        if not self._toolchain.lacking:
            runner = self._emulator or "here"
            once = f"Each candidate is run once ({runner}) for its answer, never for its time."
            return f"{note} {once}"
        lacking = "; ".join(self._toolchain.lacking)
        return f"{note} Candidates are compiled but NOT executed, so none is checked: {lacking}."

    @property
    def _emulator(self) -> str | None:
        words = self._toolchain.emulator
        return Path(words[0]).name if words else None

    def _with_evidence(self, cost: Cost, compiled: CompiledNetwork) -> Cost:
        """Return the cost as that of the library which was compiled, and executed or not."""
        evidence = cost.evidence
        if isinstance(evidence, PredictionEvidence):
            executed = self._toolchain.can_execute
            evidence = replace(evidence, executed=executed, emulator=self._emulator)
        return replace(cost, evidence=evidence).of_network(compiled)
