"""A network that is always the same, timed in turn with every other: how fast is the machine now?

Two candidates that are timed a minute apart can only be compared if the machine was as fast for
one as for the other. Their own times can't tell; this network's can.
"""

from pathlib import Path

import numpy as np

from cmpc_base.cache import Cache, keep_by_content
from cmpc_cost_models.graphs.writing import GraphWriter

__all__ = ["reference_network"]

SIZE_PX = 28
CHANNELS = 32


def reference_network(cache: Cache) -> Path:
    """Return where the reference network is, written now if this one is not there yet.

    Its name is its hash: what an older cmpc took for the reference is another network.

    Raises:
        OSError: it is not there, and the cache can't be written.
    """
    cache.join()
    return keep_by_content(cache.reference, ".onnx", _write)


def _write(path: Path) -> None:
    """Write three convolutions, 15 million multiply-adds: what the networks of a search do most."""
    rng = np.random.default_rng(0)
    writer = GraphWriter("reference", (1, 3, SIZE_PX, SIZE_PX))
    value, depth = writer.input, 3
    for _ in range(3):
        weight = rng.standard_normal((CHANNELS, depth, 3, 3), dtype=np.float32)
        weight /= np.float32(np.sqrt(9 * depth))
        value = writer.relu(writer.conv(value, weight, padding=1))
        depth = CHANNELS
    writer.save(path, writer.global_average_pool(value))
