"""Find the nearest gallery items of a query, exactly and fast; NumPy and Numba only.

topk                nearest items of any arrays             nearest/
GalleryIndex        a gallery kept to be searched           gallery/
ShardedIndex        one in several files                    gallery/
open_verified       either, all of it read once only        gallery/
index_lock          one program at a time changes an index  locks.py
QueryQuantizer      queries as int8, without the index      gallery/quantizer.py
to_lance, ...       galleries for other engines             engines/
retrieval_scores    how good embeddings are at it           evaluation/
certify             why an answer is the exact one          evaluation/
measure_recall      how much of the exact answer comes      evaluation/
reference           the definitions, in plain NumPy         reference.py

Imports point down: evaluation and engines, gallery, nearest, compiled, checks, metrics, errors.
"""

from cmpc_kernels.engines.faiss_files import from_faiss, to_faiss
from cmpc_kernels.engines.lance_files import from_lance, to_lance
from cmpc_kernels.engines.pgvector import pgvector_contract, to_pgvector
from cmpc_kernels.engines.qdrant import qdrant_contract, to_qdrant
from cmpc_kernels.errors import (
    BadArgument,
    BadCertificate,
    BadIndexFile,
    EngineFault,
    IndexChanged,
    KernelsError,
)
from cmpc_kernels.evaluation.certificates import Certificate
from cmpc_kernels.evaluation.certifying import certify
from cmpc_kernels.evaluation.metrics import retrieval_scores, tar_at_far, tpir_at_fpir
from cmpc_kernels.evaluation.ranking import QueryRanks, rank_right_items
from cmpc_kernels.evaluation.recall import Recall, measure_recall
from cmpc_kernels.evaluation.score_tiles import IgnoredPairs
from cmpc_kernels.evaluation.verification import VerificationRate, verification_rates
from cmpc_kernels.gallery.index import GalleryIndex
from cmpc_kernels.gallery.index_file import StoredAs
from cmpc_kernels.gallery.quantizer import QuantizedQueries, QueryContract, QueryQuantizer
from cmpc_kernels.gallery.settings import IndexSettings
from cmpc_kernels.gallery.shards import ShardedIndex, open_index
from cmpc_kernels.gallery.verified import open_verified
from cmpc_kernels.locks import index_lock
from cmpc_kernels.nearest.similarity import topk
from cmpc_kernels.records import Neighbours, RetrievalScores

__all__ = [
    "BadArgument",
    "BadCertificate",
    "BadIndexFile",
    "Certificate",
    "EngineFault",
    "GalleryIndex",
    "IgnoredPairs",
    "IndexChanged",
    "IndexSettings",
    "KernelsError",
    "Neighbours",
    "QuantizedQueries",
    "QueryContract",
    "QueryQuantizer",
    "QueryRanks",
    "Recall",
    "RetrievalScores",
    "ShardedIndex",
    "StoredAs",
    "VerificationRate",
    "certify",
    "from_faiss",
    "from_lance",
    "index_lock",
    "measure_recall",
    "open_index",
    "open_verified",
    "pgvector_contract",
    "qdrant_contract",
    "rank_right_items",
    "retrieval_scores",
    "tar_at_far",
    "to_faiss",
    "to_lance",
    "to_pgvector",
    "to_qdrant",
    "topk",
    "tpir_at_fpir",
    "verification_rates",
]
