"""What every way of judging embeddings promises: its metrics, and the rank of each query's answer.

    LabelledRows of queries, of a gallery --> Protocol.evaluate --> ProtocolResult
                                                                     metrics, ranks

Metrics are what a protocol is known for. The ranks are kept whatever they are: intervals, paired
tests and negative flips all follow from them, see ``statistics`` and ``judgement``.

Shapes: N rows, D values each.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmpc_kernels import QueryRanks
from cmpc_search.errors import BadArgument

__all__ = ["LabelledRows", "Protocol", "ProtocolResult"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelledRows:
    """The embeddings of one side of a search, with what a protocol may ask of each row.

    Attributes:
        embeddings: float32 [N, D].
        labels: int64 [N], positions in ``label_names``; names tell whether a label of one side is
            one of the other.
        item_ids: [N], what is shown; an item of the gallery is no answer to itself. None where no
            item is on both sides.
        groups: [N], such as the camera, the session or the shop that an image comes from: items of
            a query's own label and group are too easy and don't count. None where all do.

    Raises:
        BadArgument: the columns are not as long as the rows are many.
    """

    embeddings: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    label_names: tuple[str, ...]
    item_ids: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("labels", "item_ids", "groups"):
            column = getattr(self, name)
            if column is not None and len(column) != len(self):
                raise BadArgument(
                    f"{name} must be as many as the {len(self)} rows, got {len(column)}"
                )

    def __len__(self) -> int:
        return len(self.embeddings)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ProtocolResult:
    """What a protocol found.

    Attributes:
        metrics: The protocol's numbers by name, from 0 to 1, higher is better.
        ranks: Where each query with something to find has its right items.
    """

    metrics: Mapping[str, float]
    ranks: QueryRanks


class Protocol(ABC):
    """One way to judge how well queries find their labels in a gallery."""

    @abstractmethod
    def evaluate(self, queries: LabelledRows, gallery: LabelledRows) -> ProtocolResult:
        """Judge the embeddings of ``queries`` by what they find in ``gallery``.

        Raises:
            BadArgument: no query has anything to find, or the sides don't fit the protocol.
        """
