"""What an index demands of queries, in a form that a client can hold without the index.

    index.query_contract() --> JSON --> QueryQuantizer(contract).quantize(float32) --+
                                                                                     v
                              index.search(queries) <-- QuantizedQueries(int8 codes, scales)

A quantised query is 4 times smaller on its way to the index. The convention is symmetric, one
scale per query: value = code * scale, code in -127 ... 127, scale = largest magnitude / 127, so no
value is off by more than half a scale. An index answers for the values that the codes stand for.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cmpc_kernels.checks import check_rows
from cmpc_kernels.errors import BadArgument
from cmpc_kernels.metrics import METRIC_NUMBERS

__all__ = ["QuantizedQueries", "QueryContract", "QueryQuantizer"]

LARGEST_CODE = 127
CONTRACT_VERSION = 1
UNIT_TOLERANCE = 1e-3  # a network's float32 or float16 normalisation is well within
CODED_UNIT_TOLERANCE = 0.05  # rounding to int8 moves the length too


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryContract:
    """What queries of an index must be.

    Attributes:
        dimension: Values of a query.
        metric: How the index compares: "ip", "cosine" or "l2".
        unit_queries: Whether a query must have the length 1; under "cosine" it need not.
        network_sha256: The gallery network that queries must be compatible with, if known.
    """

    dimension: int
    metric: str
    unit_queries: bool = False
    network_sha256: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object, a few hundred bytes."""
        return {"version": CONTRACT_VERSION, "largest_code": LARGEST_CODE, **asdict(self)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote.

        Raises:
            BadArgument: it is no contract, or one of another version.
        """
        known: dict[str, Any] = {item.name: document.get(item.name) for item in fields(cls)}
        expected = {"version": CONTRACT_VERSION, "largest_code": LARGEST_CODE}
        if document != known | expected or not is_sound(known):
            raise BadArgument(
                f"a query contract must be what `index.query_contract().to_json()` returned in "
                f"version {CONTRACT_VERSION}, got {dict(document)}; ask the index for it again"
            )
        return cls(**known)

    def check_network(self, network_sha256: str | None) -> None:
        """Refuse queries that are known to live in another network's space."""
        if network_sha256 is not None and network_sha256 != self.network_sha256:
            raise BadArgument(
                f"queries must live in the space of the index, which is that of network "
                f"{self.network_sha256 or 'unknown'}, got queries for network {network_sha256}; "
                f"search an index built with that gallery network"
            )

    def check_dimension(self, query_QD: npt.NDArray[Any]) -> None:
        """Refuse queries of another dimension."""
        if query_QD.shape[1] != self.dimension:
            raise BadArgument(
                f"queries must have the {self.dimension} dimensions of the index, got "
                f"{query_QD.shape[1]}; embed them with a network compatible with its gallery"
            )

    def check_length(self, query_QD: npt.NDArray[Any], tolerance: float) -> None:
        """Refuse queries that are not of length 1, where the index wants that."""
        if not self.unit_queries or self.metric == "cosine" or not len(query_QD):
            return
        error_Q = np.abs(np.linalg.norm(query_QD.astype(np.float64), axis=1) - 1)
        is_off_Q = ~(error_Q <= tolerance)  # NaN is off as well
        if is_off_Q.any():
            row = int(np.argmax(is_off_Q))
            raise BadArgument(
                f"queries must have the length 1, got {np.linalg.norm(query_QD[row]):.4g} in row "
                f"{row}; divide each by its length, as the index's items are"
            )

    def prepare(
        self, queries: "npt.NDArray[Any] | QuantizedQueries", network_sha256: str | None
    ) -> npt.NDArray[Any]:
        """Return queries as float32 or float16 [Q, D] if they fit."""
        self.check_network(network_sha256)
        tolerance = UNIT_TOLERANCE
        if isinstance(queries, QuantizedQueries):
            self.check_network(queries.network_sha256)
            queries, tolerance = queries.to_float32(), CODED_UNIT_TOLERANCE
        query_QD = check_rows("queries", queries)
        self.check_dimension(query_QD)
        self.check_length(query_QD, tolerance)
        return query_QD


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class QuantizedQueries:
    """Queries as int8 ``codes`` [Q, D] and float32 ``scales`` [Q]: value = code * scale.

    A network that puts out int8 with one scale has them already: give that scale for every row.
    """

    codes: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    network_sha256: str | None = None

    def __post_init__(self) -> None:
        codes, scales = self.codes, self.scales
        if not isinstance(codes, np.ndarray) or codes.dtype != np.int8 or codes.ndim != 2:
            raise BadArgument(
                f"codes must be an int8 array [queries, dimensions], got {describe(codes)}; "
                f"let QueryQuantizer make them"
            )
        if not isinstance(scales, np.ndarray) or scales.dtype != np.float32:
            raise BadArgument(f"scales must be a float32 array, got {describe(scales)}")
        if scales.shape != (len(codes),) or not (np.isfinite(scales) & (scales >= 0)).all():
            raise BadArgument(
                f"scales must hold one finite, positive number for each of the {len(codes)} "
                f"queries, got {describe(scales)}"
            )

    def to_float32(self) -> npt.NDArray[np.float32]:
        """Return the values that the codes stand for, float32 [Q, D]."""
        return self.codes.astype(np.float32) * self.scales[:, np.newaxis]


@dataclass(frozen=True, slots=True)
class QueryQuantizer:
    """Turns queries into int8 as a contract says; needs no index."""

    contract: QueryContract

    def quantize(
        self, queries: npt.NDArray[Any], *, network_sha256: str | None = None
    ) -> QuantizedQueries:
        """Round float32 or float16 queries [Q, D]; each value moves by half a scale at most.

        Raises:
            BadArgument: dimension, length or network break the contract, or a value is not finite.
        """
        query_QD = self.contract.prepare(queries, network_sha256)
        if not np.isfinite(query_QD).all():
            raise BadArgument(
                "queries must be finite to be rounded to int8, got NaN or infinite values; "
                "embed these pictures again"
            )
        # Inside float64 nothing over- or underflows; a scale that float32 can't hold becomes 0,
        # and so do its query's values, all of them below 1e-43.
        largest_Q = np.abs(query_QD).max(axis=1, initial=0).astype(np.float64)
        scale_Q = (largest_Q / LARGEST_CODE).astype(np.float32)
        divisor_Q = np.where(scale_Q > 0, scale_Q, np.inf).astype(np.float64)
        code_QD = np.rint(query_QD.astype(np.float64) / divisor_Q[:, np.newaxis])
        return QuantizedQueries(
            codes=np.clip(code_QD, -LARGEST_CODE, LARGEST_CODE).astype(np.int8),
            scales=scale_Q,
            network_sha256=self.contract.network_sha256,
        )


def is_sound(values: Mapping[str, Any]) -> bool:
    """Say whether a contract from outside keeps the promises of its annotations."""
    dimension = values["dimension"]
    return (
        type(dimension) is int
        and 1 <= dimension < math.inf
        and values["metric"] in METRIC_NUMBERS
        and type(values["unit_queries"]) is bool
        and isinstance(values["network_sha256"], str | None)
    )


def describe(value: object) -> str:
    """Say what came instead of the array that must be there."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of the shape {list(value.shape)}"
    return type(value).__name__
