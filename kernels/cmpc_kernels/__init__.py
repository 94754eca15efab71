"""Find the nearest gallery items of a query, exactly and fast; NumPy and Numba only.

topk                nearest items of any arrays             similarity.py
GalleryIndex        a gallery kept to be searched           index.py
ShardedIndex        one in several files                    shards.py
QueryQuantizer      queries as int8, without the index      quantizer.py
retrieval_scores    how good embeddings are at it           metrics.py
reference           the definitions, in plain NumPy         reference.py
"""

from cmpc_kernels.errors import BadArgument, BadIndexFile, KernelsError
from cmpc_kernels.index import GalleryIndex
from cmpc_kernels.metrics import retrieval_scores, tar_at_far, tpir_at_fpir
from cmpc_kernels.quantizer import QuantizedQueries, QueryContract, QueryQuantizer
from cmpc_kernels.recall import Recall
from cmpc_kernels.records import Neighbours, RetrievalScores
from cmpc_kernels.settings import IndexSettings
from cmpc_kernels.shards import ShardedIndex, open_index
from cmpc_kernels.similarity import topk

__all__ = [
    "BadArgument",
    "BadIndexFile",
    "GalleryIndex",
    "IndexSettings",
    "KernelsError",
    "Neighbours",
    "QuantizedQueries",
    "QueryContract",
    "QueryQuantizer",
    "Recall",
    "RetrievalScores",
    "ShardedIndex",
    "open_index",
    "retrieval_scores",
    "tar_at_far",
    "topk",
    "tpir_at_fpir",
]
