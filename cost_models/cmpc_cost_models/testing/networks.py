"""A network small enough for any test: a convolution, a mean and a dense layer."""

from pathlib import Path

import numpy as np

from cmpc_cost_models.graphs.writing import GraphWriter

__all__ = ["write_small_network"]

INPUT_SHAPE = (1, 3, 16, 16)


def write_small_network(path: Path) -> Path:
    """Write the network to ``path``, and return that; it answers with 12 numbers."""
    rng = np.random.default_rng(0)
    writer = GraphWriter("small", INPUT_SHAPE)
    weight = rng.standard_normal((8, 3, 3, 3), dtype=np.float32)
    features = writer.relu(writer.conv(writer.input, weight, stride=2, padding=1))
    weight = rng.standard_normal((12, 8), dtype=np.float32)
    writer.save(path, writer.dense(writer.global_average_pool(features), weight))
    return path
