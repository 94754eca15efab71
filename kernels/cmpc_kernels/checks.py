"""Say no early and usefully: the conditions that every public function shares.

Each check answers with what must hold, what came and what to do.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_kernels.errors import BadArgument
from cmpc_kernels.metrics import METRIC_NUMBERS

__all__ = [
    "check_count",
    "check_labels",
    "check_metric",
    "check_pair",
    "check_rows",
    "check_unmasked",
]


def check_rows(name: str, rows: object) -> npt.NDArray[Any]:
    """Return ``rows`` as a plain array if it is float32 or float16 [N, D] with D >= 1."""
    if not isinstance(rows, np.ndarray):
        raise BadArgument(
            f"{name} must be a NumPy array, got {type(rows).__name__}; "
            f"convert it with np.asarray({name}, dtype=np.float32)"
        )
    if rows.dtype not in (np.float32, np.float16):
        raise BadArgument(
            f"{name} must be float32 or float16, got {rows.dtype}; "
            f"convert it with {name}.astype(np.float32)"
        )
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise BadArgument(
            f"{name} must have the shape [rows, dimensions] with at least one dimension, "
            f"got {list(rows.shape)}; give a single embedding as {name}[np.newaxis]"
        )
    return check_unmasked(name, rows)


def check_pair(queries: object, gallery: object) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return both as plain arrays if they hold embeddings of one dimension."""
    query_QD, gallery_GD = check_rows("queries", queries), check_rows("gallery", gallery)
    if query_QD.shape[1] != gallery_GD.shape[1]:
        raise BadArgument(
            f"queries and gallery must share their dimension, got {query_QD.shape[1]} and "
            f"{gallery_GD.shape[1]}; embed both for the same gallery space"
        )
    return query_QD, gallery_GD


def check_labels(name: str, labels: object, num_rows: int) -> npt.NDArray[np.int64]:
    """Return ``labels`` as int64 [num_rows]."""
    label_N = check_unmasked(name, labels)
    if label_N.shape != (num_rows,):
        raise BadArgument(
            f"{name} must hold one label for each of the {num_rows} rows, "
            f"got the shape {list(label_N.shape)}"
        )
    if label_N.size and label_N.dtype.kind not in "iu":
        raise BadArgument(
            f"{name} must be integers, got {label_N.dtype}; "
            f"number the classes with np.unique(..., return_inverse=True)"
        )
    if label_N.dtype == np.uint64 and (label_N > np.iinfo(np.int64).max).any():
        raise BadArgument(
            f"{name} must be below 2**63, got {label_N.max()}; "
            f"number the classes with np.unique(..., return_inverse=True)"
        )
    return label_N.astype(np.int64)


def check_unmasked(name: str, values: object) -> npt.NDArray[Any]:
    """Return values as a plain array if none of them is masked: what a mask hides would count."""
    if np.ma.is_masked(values):
        raise BadArgument(
            f"{name} must be plain values, got an array that masks some; take them out, or fill "
            f"them with {name}.filled(...)"
        )
    return np.asarray(values)


def check_metric(metric: object) -> None:
    """Refuse a metric that is not one of ours."""
    if metric not in METRIC_NUMBERS:
        raise BadArgument.among(METRIC_NUMBERS, "metric", metric)


def check_count(k: object) -> int:
    """Return ``k`` as an int if at least one neighbour is asked for."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise BadArgument(
            f"k must be an integer of at least 1, got {k!r}; it is the number of neighbours kept"
        )
    return int(k)
