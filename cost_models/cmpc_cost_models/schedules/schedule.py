"""How is a kernel computed? The record of one way, and who chooses one.

Workload --+-- rules.rule_schedule ---> Schedule
           +-- rules.schedule_space --> Schedule, Schedule, ...  --tuning--> ScheduleSource.find
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from cmpc_cost_models.records.plain import PlainRecord
from cmpc_cost_models.schedules.tiling import Tile
from cmpc_cost_models.schedules.workload import Workload

__all__ = ["ORDERS", "Order", "Origin", "Schedule", "ScheduleSource"]

Order = Literal["channels", "rows"]
ORDERS: tuple[Order, ...] = ("channels", "rows")
Origin = Literal["record", "similar", "rule"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule(PlainRecord):
    """How one kernel is computed.

    Attributes:
        rows, columns: Pixels of the tile whose sums stay in registers.
        vectors, lanes: Channels of that tile: ``vectors`` times ``lanes`` neighbours.
        unroll: Steps of the reduction written out in the innermost loop.
        depth_parts: Into how many parts the input channels are divided: the weights of one part
            stay in cache while all tiles use them.
        order: What changes slowest: ``channels`` (weights stay in cache) or ``rows`` (data do).
        is_parallel: Whether the outermost loops are split among the workload's threads.
    """

    rows: int = 1
    columns: int = 1
    vectors: int = 1
    lanes: int = 1
    unroll: int = 1
    depth_parts: int = 1
    order: Order = "channels"
    is_parallel: bool = False

    @property
    def tile(self) -> Tile:
        return Tile(rows=self.rows, columns=self.columns, vectors=self.vectors, lanes=self.lanes)


class ScheduleSource(Protocol):
    """Chooses schedules, for example from a database of measurements."""

    def find(self, workload: Workload) -> tuple[Schedule, Origin]:
        """Return a valid schedule of ``workload`` and where it comes from."""

    def state_sha256(self) -> str:
        """Return a hash that changes whenever an answer of ``find`` may have changed."""
