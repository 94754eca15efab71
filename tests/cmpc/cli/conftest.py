"""Embeddings for the tests of `cmpc index`."""

import numpy as np
import pytest

from cmpc_search.embeddings import Embeddings, write_embeddings


@pytest.fixture
def embeddings(tmp_path):
    rows = np.random.default_rng(7).standard_normal((60, 16)).astype(np.float32)
    names = tuple(f"item/{n}" for n in range(60))
    path = tmp_path / "shop.safetensors"
    write_embeddings(path, Embeddings(rows=rows, item_names=names, network_sha256="ab" * 32))
    return path
