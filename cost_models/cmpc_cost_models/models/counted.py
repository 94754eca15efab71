"""How much arithmetic does a network ask for? Counted from its graph, the same on every target."""

from pathlib import Path

from cmpc_cost_models.graphs.counting import count_network
from cmpc_cost_models.models.base import CostModel
from cmpc_cost_models.records import Cost

__all__ = ["CountedModel"]


class CountedModel(CostModel):
    """Counts multiply-adds."""

    def estimate(self, onnx_path: Path) -> Cost:
        """Return how many multiply-adds one run takes.

        Raises:
            BadNetworkFile: the network can't be read, or its sizes are not fixed.
        """
        macs = count_network(onnx_path).macs
        return Cost(name="macs", value=float(macs), unit="MAC", source="counted")
