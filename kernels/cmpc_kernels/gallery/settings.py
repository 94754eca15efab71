"""What an index is asked to be: how it compares, what it keeps, whose embeddings it holds.

mode     storage              kept for an item                     the answer is
exact    float32 (default)    the row, and 8-bit codes of it       that of the float32 rows
exact    float16              the rounded row, and 8-bit codes     that of the rounded rows
codes    int8 (default)       8-bit codes                          near: `measure_recall` tells
codes    binary               1-bit codes                          rough: `measure_recall` tells
ivf      float32              the row, and lists of FAISS's        near: `measure_recall` tells
hnsw     float32              the row, and a graph of FAISS's      near: `measure_recall` tells
"""

from dataclasses import asdict, dataclass
from typing import Any

from cmpc_kernels.checks import check_metric
from cmpc_kernels.errors import BadArgument

__all__ = ["STORAGES", "IndexSettings"]

STORAGES = {
    "exact": ("float32", "float16"),
    "codes": ("int8", "binary"),
    "ivf": ("float32",),
    "hnsw": ("float32",),
}
"""What each mode can keep, the default first."""
EARLIER_NAMES = {"fast": "codes"}
"""What earlier versions called a mode: in their files, and in programs."""
EFFORTS = {"ivf": 16, "hnsw": 64}
"""The modes that FAISS serves, and how hard they try by default."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexSettings:
    """How an index is made; two indexes with equal settings and dimensions can be merged.

    Attributes:
        metric: "ip", "cosine" or "l2" (squared distance).
        mode: "exact", "codes" or, served by FAISS, "ivf" or "hnsw".
        storage: See the table above; None means the mode's default, which then stands here.
        network_sha256: Which gallery network made the embeddings, if that is known.
        unit_queries: Refuse queries that are not of length 1; for scores with a threshold under
            "ip" and "l2". Under "cosine" no length matters.
        effort: How hard a search tries: in mode "ivf" the lists that it visits (nprobe), in mode
            "hnsw" the candidates that it keeps (efSearch). None means the mode's default, which
            then stands here; no other mode has one.
    """

    metric: str = "ip"
    mode: str = "exact"
    storage: str | None = None
    network_sha256: str | None = None
    unit_queries: bool = False
    effort: int | None = None

    def __post_init__(self) -> None:
        check_metric(self.metric)
        object.__setattr__(self, "mode", EARLIER_NAMES.get(self.mode, self.mode))
        if self.mode not in STORAGES:
            raise BadArgument.among(STORAGES, "mode", self.mode)
        fitting = STORAGES[self.mode]
        if self.storage is None:
            object.__setattr__(self, "storage", fitting[0])
        elif self.storage not in fitting:
            raise BadArgument(
                f"an index in {self.mode} mode keeps {' or '.join(fitting)}, "
                f"got storage={self.storage!r}; {other_mode(self.storage)}"
            )
        object.__setattr__(self, "effort", check_effort(self.mode, self.effort))

    @property
    def engine(self) -> str:
        """Who searches: "cmpc", or the mode's name where FAISS does."""
        return self.mode if self.mode in EFFORTS else "cmpc"

    @property
    def code_bits(self) -> int:
        """Bits of a code for one value of a row."""
        return 1 if self.storage == "binary" else 8

    def to_json(self) -> dict[str, Any]:
        """Return what ``IndexSettings(**...)`` takes; earlier versions know no effort."""
        told = asdict(self)
        if self.effort is None:
            del told["effort"]
        return told


def check_effort(mode: str, effort: object) -> int | None:
    """Return how hard a mode tries, or None where it can't be told to."""
    if mode not in EFFORTS and effort is None:
        return None
    if mode not in EFFORTS:
        raise BadArgument(f"effort must be left out in {mode} mode, got {effort!r}")
    effort = EFFORTS[mode] if effort is None else effort
    if type(effort) is not int or not 1 <= effort < 1 << 31:
        raise BadArgument(f"effort must be an integer of at least 1, got {effort!r}")
    return effort


def other_mode(storage: str) -> str:
    """Say in which mode a storage fits, or that there is none."""
    modes = [mode for mode, storages in STORAGES.items() if storage in storages]
    if modes:
        return f"for {storage} set mode={modes[0]!r}"
    return f"there are {', '.join(name for storages in STORAGES.values() for name in storages)}"
