"""Is every row an embedding? The one check of all rows, wherever they come from: files or networks.

A cosine needs a direction. A row of NaN, infinities or zeros has none; it would train a query
network towards nothing and be found by no query, so it is refused by the name of its item.

Shapes: N rows, D values each.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cmpc_search.errors import BadEmbeddings

__all__ = ["check_directions", "check_finite", "unit_rows"]

ROWS_AT_ONCE = 65536
NUM_NAMED = 3


def check_finite(
    rows: npt.NDArray[np.float32], item_names: Sequence[str] | None, source: str
) -> None:
    """Refuse rows float32 [N, D] with NaN or infinities; zeros are lawful here.

    ``source`` says in the message where the rows come from.

    Raises:
        BadEmbeddings: there are such rows.
    """
    _check_rows(rows, item_names, source, may_be_zero=True)


def check_directions(
    rows: npt.NDArray[np.float32], item_names: Sequence[str] | None, source: str
) -> None:
    """Refuse rows [N, D] that a cosine can't be taken of, by name: NaN, infinities, all zeros.

    ``source`` says in the message where the rows come from.

    Raises:
        BadEmbeddings: there are such rows, or none at all.
    """
    if not rows.size:
        raise BadEmbeddings(f"{source} must hold rows [N, D], got an array of shape {rows.shape}")
    _check_rows(rows, item_names, source, may_be_zero=False)


def unit_rows(
    rows: npt.NDArray[np.float32], item_names: Sequence[str] | None, source: str
) -> npt.NDArray[np.float32]:
    """Return rows float32 [N, D] divided by their lengths.

    Raises:
        BadEmbeddings: a row has no direction, see `check_directions`.
    """
    check_directions(rows, item_names, source)
    lengths = np.sqrt(_squared_lengths(rows))[:, None]
    return np.divide(rows, lengths, out=np.empty_like(rows), casting="same_kind")


def _squared_lengths(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return them in float64: squares of small and of large float32 numbers leave its range."""
    found: npt.NDArray[np.float64] = np.einsum(
        "nd,nd->n", rows, rows, dtype=np.float64, casting="same_kind"
    )
    return found


def _check_rows(
    rows: npt.NDArray[np.float32],
    item_names: Sequence[str] | None,
    source: str,
    *,
    may_be_zero: bool,
) -> None:
    for start in range(0, len(rows), ROWS_AT_ONCE):  # the rows may be more than memory holds
        squared = _squared_lengths(rows[start : start + ROWS_AT_ONCE])
        is_good = np.isfinite(squared) if may_be_zero else (squared > 0) & np.isfinite(squared)
        if not is_good.all():
            raise BadEmbeddings(
                _objection(start + np.flatnonzero(~is_good), item_names, source, may_be_zero)
            )


def _objection(
    bad: npt.NDArray[np.int64], item_names: Sequence[str] | None, source: str, may_be_zero: bool
) -> str:
    """Name the first rows that are no embeddings."""
    first = [int(row) for row in bad[:NUM_NAMED]]
    named = [f"row {row}" if item_names is None else repr(item_names[row]) for row in first]
    more = " and others" if len(bad) > len(first) else ""
    wanted = "be finite" if may_be_zero else "be finite and not all zeros"
    got = "NaN or infinity" if may_be_zero else "NaN, infinity or zeros"
    return f"each row of {source} must {wanted}, got {got} for {', '.join(named)}{more}"
