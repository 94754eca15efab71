"""Small galleries that travel to other engines."""

import numpy as np
import pytest

from cmpc_kernels import GalleryIndex, IndexSettings, ShardedIndex

NETWORK = "ab" * 32


@pytest.fixture(params=["file", "shards"])
def shop(request, rng, tmp_path):
    """30 items of 32 with names and labels; ids have gaps."""
    rows = rng.standard_normal((32, 6), dtype=np.float32)
    names, labels = [f"näme/{n}" for n in range(32)], np.arange(32) % 5
    settings = IndexSettings(metric="cosine", network_sha256=NETWORK, unit_queries=True)
    if request.param == "file":
        index = GalleryIndex.build_with(settings, rows, item_names=names, labels=labels)
    else:
        index = ShardedIndex.build(
            *(tmp_path / "shards", rows, settings),
            rows_per_shard=12,
            item_names=names,
            labels=labels,
        )
    index.remove([3, 17])
    return index
