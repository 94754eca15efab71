"""Carry a gallery into a FAISS file and back, so that neither side is a dead end.

A FAISS file holds rows and a metric. It does not know item names, labels, which network embedded
the rows, or that inner products of unit rows are cosines: ``to_faiss`` loses the first three, and
``from_faiss`` must be told the last.

Only open FAISS files that you trust: FAISS reads them with native code, which checks little of what
a file claims. Our own format (``gallery/index_file.py``) has checksums and runs nothing.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_base.files import replacing
from cmpc_kernels.errors import BadArgument, BadIndexFile
from cmpc_kernels.gallery.faiss_structures import load_faiss
from cmpc_kernels.gallery.index import GalleryIndex
from cmpc_kernels.gallery.settings import IndexSettings
from cmpc_kernels.nearest.similarity import unit_rows

__all__ = ["from_faiss", "to_faiss"]

UNIT_TOLERANCE = 1e-3  # of a row's length; float16 and 8-bit rows have lost some of it
READABLE = "IndexFlat, IndexScalarQuantizer, IndexIVFFlat, IndexHNSWFlat, alone or in an IndexIDMap"


def to_faiss(index: GalleryIndex, path: str | os.PathLike[str]) -> None:
    """Write the rows as an ``IndexFlat``, in an ``IndexIDMap`` where ids are not row numbers.

    A "cosine" index becomes one of the inner products of unit rows: give it unit queries. The file
    appears whole or not at all.

    Raises:
        BadArgument: the index keeps codes only, and no rows.
        MissingLibrary: FAISS is not installed.
    """
    faiss = load_faiss()
    if index.rows is None:
        raise BadArgument("an index must keep its rows to be converted, this one keeps codes only")
    is_cosine = index.metric == "cosine"
    row_GD = unit_rows(index.rows) if is_cosine else np.ascontiguousarray(index.rows, np.float32)
    metric_type = faiss.METRIC_L2 if index.metric == "l2" else faiss.METRIC_INNER_PRODUCT
    native = faiss.IndexFlat(row_GD.shape[1], metric_type)
    if np.array_equal(index.ids, np.arange(len(row_GD))):
        native.add(row_GD)
    else:
        native = faiss.IndexIDMap(native)
        native.add_with_ids(row_GD, index.ids)
    with replacing(Path(path)) as file:
        # Not by name: a full disk is then told as by the system, not in FAISS's C++.
        faiss.write_index(native, faiss.PyCallbackIOWriter(file.write))


def from_faiss(
    path: str | os.PathLike[str], *, metric: str | None = None, network_sha256: str | None = None
) -> GalleryIndex:
    """Read the rows of a FAISS file into an index; open only files that you trust.

    ``metric="cosine"`` says that a file of inner products holds unit rows. Lossy rows, such as
    those of an 8-bit scalar quantiser, come back as FAISS decodes them. Items keep their ids, and
    are put in the order of these. ``network_sha256`` says which gallery network made the rows.

    Raises:
        BadIndexFile: FAISS cannot read the file, or its rows cannot be had back.
        BadArgument: ``metric`` is not what the file holds.
        MissingLibrary: FAISS is not installed.
    """
    faiss = load_faiss()
    path = Path(path)
    path.stat()  # FAISS's own error for a missing file is a RuntimeError
    try:
        native = faiss.read_index(os.fspath(path))
    except RuntimeError as error:
        raise BadIndexFile(f"{path} must be a FAISS index, and cannot be read: {error}") from None
    row_GD, id_G = _rows_and_ids(faiss, native, path)
    order_G = np.argsort(id_G, kind="stable")
    settings = IndexSettings(
        metric=_metric_of(faiss, native, row_GD, metric, path), network_sha256=network_sha256
    )
    return GalleryIndex.build_with(settings, row_GD[order_G], ids=id_G[order_G])


def _rows_and_ids(
    faiss: Any, native: Any, path: Path
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return float32 [G, D] and the id of each row."""
    if isinstance(native, faiss.IndexIDMap):  # IndexIDMap2 is one
        inner_GD, place_G = _rows_and_ids(faiss, faiss.downcast_index(native.index), path)
        return inner_GD, faiss.vector_to_array(native.id_map)[place_G]
    if isinstance(native, faiss.IndexIVFFlat):
        return _rows_of_lists(faiss, native)
    if isinstance(native, (faiss.IndexFlat, faiss.IndexScalarQuantizer, faiss.IndexHNSWFlat)):
        return native.reconstruct_n(0, native.ntotal), np.arange(native.ntotal)
    raise BadIndexFile(
        f"the rows of a FAISS index must be kept to be read, got {type(native).__name__} in "
        f"{path}; those of {READABLE} can be read"
    )


def _rows_of_lists(
    faiss: Any, native: Any
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Read the inverted lists themselves: any ids are fine, where reconstruct needs 0, 1, 2, ..."""
    rows, ids = [np.empty((0, native.d), np.float32)], [np.empty(0, np.int64)]
    lists = native.invlists
    for n in range(native.nlist):
        if size := lists.list_size(n):
            codes = faiss.rev_swig_ptr(lists.get_codes(n), size * native.code_size)
            rows.append(codes.view(np.float32).reshape(size, native.d).copy())
            ids.append(faiss.rev_swig_ptr(lists.get_ids(n), size).copy())
    return np.concatenate(rows), np.concatenate(ids)


def _metric_of(
    faiss: Any, native: Any, row_GD: npt.NDArray[np.float32], metric: str | None, path: Path
) -> str:
    """Return our name of the file's metric, or the asked one if the file fits it."""
    names = {faiss.METRIC_INNER_PRODUCT: "ip", faiss.METRIC_L2: "l2"}
    if native.metric_type not in names:
        raise BadIndexFile(
            f"a FAISS index must search by inner product or L2, got the metric type "
            f"{native.metric_type} in {path}"
        )
    found = names[native.metric_type]
    if metric is None or metric == found:
        return found
    if metric == "cosine" and found == "ip":
        off_G = np.abs(np.linalg.norm(row_GD.astype(np.float64), axis=1) - 1)
        if not len(off_G) or off_G.max() <= UNIT_TOLERANCE:
            return metric
        raise BadArgument(
            f"the rows of a cosine index must have length 1, row {np.argmax(off_G)} of {path} is "
            f"off by {off_G.max():.2g}; read it as metric='ip'"
        )
    raise BadArgument(f"{path} is searched by {found!r}, got metric={metric!r}; leave it out")
