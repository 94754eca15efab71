"""By which hash is a file or a document known? SHA-256, of a document that of its sorted JSON."""

import hashlib
import json
from pathlib import Path

__all__ = ["document_hash", "file_hash"]


def file_hash(path: Path, algorithm: str = "sha256") -> str:
    """Return the hash of a file, in hexadecimal.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def document_hash(document: object) -> str:
    """Return the SHA-256 of JSON values, in hexadecimal; the order of keys does not count."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
