"""Find the nearest gallery items of a query, exactly and fast; NumPy and Numba only.

topk                nearest items of any arrays             similarity.py
GalleryIndex        a gallery kept to be searched           index.py
ShardedIndex        one in several files                    shards.py
QueryQuantizer      queries as int8, without the index      quantizer.py
FaissIndex          the same interface, served by FAISS     faiss_engine.py, faiss_files.py
retrieval_scores    how good embeddings are at it           metrics.py, ranking.py, verification.py
reference           the definitions, in plain NumPy         reference.py
"""

from cmpc_kernels._score_tiles import IgnoredPairs
from cmpc_kernels.errors import BadArgument, BadIndexFile, KernelsError, MissingPackage
from cmpc_kernels.faiss_engine import FaissIndex, FaissSettings
from cmpc_kernels.faiss_files import from_faiss, to_faiss
from cmpc_kernels.index import GalleryIndex
from cmpc_kernels.metrics import retrieval_scores, tar_at_far, tpir_at_fpir
from cmpc_kernels.quantizer import QuantizedQueries, QueryContract, QueryQuantizer
from cmpc_kernels.ranking import QueryRanks, rank_right_items
from cmpc_kernels.recall import Recall
from cmpc_kernels.records import Neighbours, RetrievalScores
from cmpc_kernels.settings import IndexSettings
from cmpc_kernels.shards import ShardedIndex, open_index
from cmpc_kernels.similarity import topk
from cmpc_kernels.verification import VerificationRate, verification_rates

__all__ = [
    "BadArgument",
    "BadIndexFile",
    "FaissIndex",
    "FaissSettings",
    "GalleryIndex",
    "IgnoredPairs",
    "IndexSettings",
    "KernelsError",
    "MissingPackage",
    "Neighbours",
    "QuantizedQueries",
    "QueryContract",
    "QueryQuantizer",
    "QueryRanks",
    "Recall",
    "RetrievalScores",
    "ShardedIndex",
    "VerificationRate",
    "from_faiss",
    "open_index",
    "rank_right_items",
    "retrieval_scores",
    "tar_at_far",
    "to_faiss",
    "topk",
    "tpir_at_fpir",
    "verification_rates",
]
