"""What FAISS makes of rows to find them fast, taken out as plain arrays and put back.

    mode    array                 dtype, shape     content
    ivf     codes.centroids       float32 [L, D]   the middle of each list
            codes.list_numbers    int32 [G]        which list each row is in
    hnsw    codes.levels          int32 [G]        how many layers of the graph each row is in
            codes.neighbors       int32 [E]        links of all rows, -1 where there is none
            codes.entry_point     int32 [1]        the row where each search begins

So an index file holds numbers only, whose sense is checked here, and nothing that FAISS would have
to parse. Papers: FAISS, Douze et al. 2024 (arXiv 2401.08281); IVF, Sivic and Zisserman, ICCV 2003;
HNSW, Malkov and Yashunin 2016 (arXiv 1603.09320).
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_base.libraries import missing_library
from cmpc_kernels.errors import BadIndexFile
from cmpc_kernels.gallery.columns import Array

__all__ = ["Graph", "InvertedLists", "Structure", "load_faiss"]

Rows = npt.NDArray[np.float32]

MIN_ROWS_PER_LIST = 39  # fewer, and FAISS's k-means warns that its centroids mean little
NUM_LINKS = 32  # of each row; twice as many in the lowest layer
BUILD_EFFORT = 200  # candidates kept while a graph is built


def load_faiss() -> Any:
    """Return the module ``faiss``, or say how to get it."""
    try:
        import faiss  # an extra, and slow to load: only where it is used
    except ImportError as error:
        raise missing_library("faiss", "an index of FAISS's") from error
    return faiss


class Structure(ABC):
    """How FAISS arranges rows of ``dimension`` values that it compares by ``metric``."""

    def __init__(self, dimension: int, metric: str) -> None:
        self.faiss, self.dimension = load_faiss(), dimension
        is_l2 = metric == "l2"
        self.metric_type = self.faiss.METRIC_L2 if is_l2 else self.faiss.METRIC_INNER_PRODUCT

    @staticmethod
    @abstractmethod
    def fits(shapes: dict[str, tuple[np.dtype[Any], tuple[int, ...]]], num_rows: int) -> bool:
        """Say whether these are the dtypes and shapes of a structure's arrays; D is not known."""

    @abstractmethod
    def made(self, row_GD: Rows) -> Any:
        """Return a FAISS index of rows."""

    @abstractmethod
    def arrays(self, native: Any) -> dict[str, Array]:
        """Take out of a FAISS index all but its rows."""

    @abstractmethod
    def restored(self, arrays: dict[str, Array], row_GD: Rows) -> Any:
        """Return a FAISS index with the rows that the arrays were made of.

        Raises:
            BadIndexFile: the arrays contradict each other.
        """

    @abstractmethod
    def parameters(self, effort: int, **options: Any) -> Any:
        """Return FAISS's parameters of one search."""


class InvertedLists(Structure):
    """IVF: rows in lists around centroids; a query visits as many lists as its effort says."""

    @staticmethod
    def fits(shapes: dict[str, tuple[np.dtype[Any], tuple[int, ...]]], num_rows: int) -> bool:
        _, centroids = shapes.get("codes.centroids", (None, ()))
        return shapes == {
            "codes.centroids": (np.dtype("<f4"), centroids),
            "codes.list_numbers": (np.dtype("<i4"), (num_rows,)),
        }

    def made(self, row_GD: Rows) -> Any:
        # About four times the square root of the number of rows, as FAISS's guidelines say.
        num_lists = min(int(4 * len(row_GD) ** 0.5), len(row_GD) // MIN_ROWS_PER_LIST)
        native = self._lists(max(1, num_lists))
        native.cp.min_points_per_centroid = 1  # no warning to stderr for the smallest galleries
        native.train(row_GD)
        native.add(row_GD)
        return native

    def arrays(self, native: Any) -> dict[str, Array]:
        number_G = np.empty(native.ntotal, np.int32)
        for number in range(native.nlist):
            if size := native.invlists.list_size(number):
                id_N = self.faiss.rev_swig_ptr(native.invlists.get_ids(number), size)
                number_G[id_N] = number
        centroid_LD = native.quantizer.reconstruct_n(0, native.nlist)
        return {"codes.centroids": centroid_LD, "codes.list_numbers": number_G}

    def restored(self, arrays: dict[str, Array], row_GD: Rows) -> Any:
        centroid_LD = np.ascontiguousarray(arrays["codes.centroids"], np.float32)
        number_G = arrays["codes.list_numbers"].astype(np.int64)
        _check(number_G.min() >= 0 and number_G.max() < len(centroid_LD), "lists")
        _check(centroid_LD.shape[1:] == (self.dimension,), "lists")
        native = self._lists(len(centroid_LD))
        native.quantizer.add(centroid_LD)
        native.is_trained = True
        pointer = self.faiss.swig_ptr
        native.add_core(len(row_GD), pointer(row_GD), None, pointer(number_G))
        return native

    def parameters(self, effort: int, **options: Any) -> Any:
        return self.faiss.SearchParametersIVF(nprobe=effort, **options)

    def _lists(self, num_lists: int) -> Any:
        coarse = self.faiss.IndexFlat(self.dimension, self.metric_type)
        return self.faiss.IndexIVFFlat(coarse, self.dimension, num_lists, self.metric_type)


class Graph(Structure):
    """HNSW: a graph of near rows; a search keeps as many candidates as its effort says."""

    @staticmethod
    def fits(shapes: dict[str, tuple[np.dtype[Any], tuple[int, ...]]], num_rows: int) -> bool:
        _, links = shapes.get("codes.neighbors", (None, ()))
        return len(links) == 1 and shapes == {
            "codes.levels": (np.dtype("<i4"), (num_rows,)),
            "codes.neighbors": (np.dtype("<i4"), links),
            "codes.entry_point": (np.dtype("<i4"), (1,)),
        }

    def made(self, row_GD: Rows) -> Any:
        native = self._graph()
        native.add(row_GD)
        return native

    def arrays(self, native: Any) -> dict[str, Array]:
        graph, view = native.hnsw, self.faiss.rev_swig_ptr
        return {
            "codes.levels": self.faiss.vector_to_array(graph.levels),
            "codes.neighbors": view(graph.neighbors.data(), graph.neighbors.size()).copy(),
            "codes.entry_point": np.array([graph.entry_point], np.int32),
        }

    def restored(self, arrays: dict[str, Array], row_GD: Rows) -> Any:
        native = self._graph()
        graph = native.hnsw
        first_of_layer = self.faiss.vector_to_array(graph.cum_nneighbor_per_level).astype(np.int64)
        level_G = arrays["codes.levels"].astype(np.int32)
        link_E = arrays["codes.neighbors"].astype(np.int32)
        entry_point = int(arrays["codes.entry_point"][0])
        check_graph(level_G, link_E, entry_point, first_of_layer)
        native.storage.add(row_GD)
        native.ntotal = len(row_GD)
        offset_G = np.append(0, np.cumsum(first_of_layer[level_G])).astype(np.uint64)
        self.faiss.copy_array_to_vector(level_G, graph.levels)
        self.faiss.copy_array_to_vector(offset_G, graph.offsets)
        graph.neighbors.resize(len(link_E))
        self.faiss.rev_swig_ptr(graph.neighbors.data(), len(link_E))[:] = link_E
        graph.entry_point, graph.max_level = entry_point, int(level_G.max()) - 1
        return native

    def parameters(self, effort: int, **options: Any) -> Any:
        return self.faiss.SearchParametersHNSW(efSearch=effort, **options)

    def _graph(self) -> Any:
        native = self.faiss.IndexHNSWFlat(self.dimension, NUM_LINKS, self.metric_type)
        native.hnsw.efConstruction = BUILD_EFFORT
        return native


def check_graph(
    level_G: npt.NDArray[np.int32],
    link_E: npt.NDArray[np.int32],
    entry_point: int,
    first_of_layer: npt.NDArray[np.int64],
) -> None:
    """Refuse a graph whose links lead out of it, or to a row that is not in their layer.

    ``first_of_layer`` says where the links of each layer begin among those of a row.
    """
    num_rows, num_layers = len(level_G), len(first_of_layer) - 1
    _check(level_G.min() >= 1 and level_G.max() <= num_layers, "graph")
    _check(0 <= entry_point < num_rows and level_G[entry_point] == level_G.max(), "graph")
    end_G = np.cumsum(first_of_layer[level_G])
    _check(end_G[-1] == len(link_E), "graph")
    _check(link_E.min() >= -1 and link_E.max() < num_rows, "graph")
    for layer in range(1, int(level_G.max())):
        higher = np.flatnonzero(level_G > layer)
        first_N = end_G[higher] - first_of_layer[level_G[higher]]
        place_P = np.arange(first_of_layer[layer], first_of_layer[layer + 1])
        link_NP = link_E[first_N[:, np.newaxis] + place_P]
        _check(bool((level_G[link_NP[link_NP >= 0]] > layer).all()), "graph")


def _check(is_sound: bool | np.bool_, what: str) -> None:
    if not is_sound:
        raise BadIndexFile(
            f"the {what} of an index must be those that FAISS made of its rows, and are not; "
            f"make them anew with `cmpc index recode`, or copy the file again"
        )
