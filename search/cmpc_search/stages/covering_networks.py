"""Which networks stand for a whole search space when its kernels are tuned?

A block's kernels depend on its own choices alone; what the next block reads decides only how much
room lies around the result. So the covering architectures hold every kernel of the space, each as
often as a random architecture does. Where sizes of image or stem are choices too, each kernel comes
at one size or another, since a schedule serves what is about twice as large or small.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from cmpc_search.errors import BadRun
from cmpc_search.networks.onnx_export import export_network
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.runs import RunFolder
from cmpc_search.space.base import Space
from cmpc_search.stages.run_material import search_settings_of
from cmpc_search.stages.supernet import WEIGHTS_FILE
from cmpc_search.training.compute import CPU

__all__ = ["export_covering_networks", "space_of_run"]

EMBEDDING_WEIGHT = "embedding.weight"


def space_of_run(run: RunFolder) -> Space:
    """Return the space that ``run`` searches, with the embedding length of its supernet.

    Before there is a supernet, the space's own length stands in: one small kernel depends on it.

    Raises:
        BadRun: the supernet can't be read, or the settings are of another version.
    """
    space = search_settings_of(run).search_space()
    path = run.supernet_path / WEIGHTS_FILE
    if not path.exists():
        return space
    try:
        with safe_open(path, framework="pt") as weights:
            embedding_dim, _ = weights.get_slice(EMBEDDING_WEIGHT).get_shape()
    except (SafetensorError, OSError) as error:
        raise BadRun(f"{path} must be the supernet of the run: {error}") from error
    return replace(space, embedding_dim=embedding_dim)


def export_covering_networks(space: Space, folder: Path) -> Iterator[Path]:
    """Write the covering architectures as ONNX, all weights zero, one file at a time.

    The shapes are what counts. Each file is removed when the next one is asked for.
    """
    path = folder / "network.onnx"
    for architecture in space.covering():
        with torch.device("meta"):  # no memory, no random numbers
            network = PlanNetwork(space.plan(architecture))
        network.to_empty(device=CPU.device)
        with torch.no_grad():
            for tensor in (*network.parameters(), *network.buffers()):
                tensor.zero_()
        export_network(network.eval(), path)
        yield path
    path.unlink(missing_ok=True)
