"""Which class keeps the embeddings of an index: ``row_store.py`` has the table."""

from cmpc_kernels.gallery.encoding import EncodedRows
from cmpc_kernels.gallery.faiss_rows import FaissRows
from cmpc_kernels.gallery.row_store import RowStore
from cmpc_kernels.gallery.settings import IndexSettings

__all__ = ["store_of"]


def store_of(settings: IndexSettings) -> type[RowStore]:
    """Return the class that keeps embeddings as the settings ask."""
    return EncodedRows if settings.engine == "cmpc" else FaissRows
