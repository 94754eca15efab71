"""What does a network cost? The promise that every cost model makes.

    estimate(network) -> Cost | Unknown         what the model can tell; a predictor runs nothing
    measure(network)  -> Measurement            the same of a candidate that may be no good: an
                                                error, too, is a result

A model that predicts works from the graph alone: it plans, and neither compiles nor loads TVM.
Whether the compiled network is any good is another question (``checked``).
"""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

from cmpc_base.closeable import Closeable
from cmpc_base.errors import CmpcError
from cmpc_cost_models.records import Cost, Measurement, Unknown

__all__ = ["CostModel"]


class CostModel(Closeable):
    """Tells what networks cost on one target; used in a ``with`` block."""

    @abstractmethod
    def estimate(self, onnx_path: Path) -> Cost | Unknown:
        """Return the cost of a network, or why nobody can tell it.

        Raises:
            CmpcError: the network is no good: it can't be read, compiled or answered rightly.
        """

    def measure(self, onnx_path: Path) -> Measurement:
        """Return what came of one network; a failure is a measurement with an error."""
        try:
            found = self.estimate(onnx_path)
        except CmpcError as error:
            return Measurement(error=str(error))
        if isinstance(found, Unknown):
            return Measurement(unknown=found)
        return Measurement(cost=found, is_stable=True)

    def measure_interleaved(self, onnx_paths: Sequence[Path]) -> list[Measurement]:
        """Measure networks together; where something is timed, in turn."""
        return [self.measure(path) for path in onnx_paths]

    @property
    def note(self) -> str | None:
        """What a user must know of these costs before there are any; ``None`` for nothing."""
        return None

    def close(self) -> None:
        """Give back what is held: nothing, by default."""
