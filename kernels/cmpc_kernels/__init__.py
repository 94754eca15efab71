"""Find the nearest gallery items of a query, exactly and fast; NumPy and Numba only.

topk                nearest items of any arrays             similarity.py
retrieval_scores    how good embeddings are at it           metrics.py
reference           the definitions, in plain NumPy         reference.py
"""

from cmpc_kernels.errors import BadArgument, BadIndexFile, KernelsError
from cmpc_kernels.index import GalleryIndex
from cmpc_kernels.metrics import retrieval_scores, tar_at_far, tpir_at_fpir
from cmpc_kernels.records import Neighbours, RetrievalScores
from cmpc_kernels.similarity import topk

__all__ = [
    "BadArgument",
    "BadIndexFile",
    "GalleryIndex",
    "KernelsError",
    "Neighbours",
    "RetrievalScores",
    "retrieval_scores",
    "tar_at_far",
    "topk",
    "tpir_at_fpir",
]
