"""Bring a run's supernet into being: train it, go on training it, or load it."""

import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from cmpc_base.progress import Progress
from cmpc_search.compatibility.making import make_method
from cmpc_search.errors import BadRun
from cmpc_search.networks.shared import Supernet
from cmpc_search.runs import RunFolder
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.stages.together import together
from cmpc_search.training.batches import BatchSource
from cmpc_search.training.checkpoint import write_weights
from cmpc_search.training.compute import Compute
from cmpc_search.training.execution import Execution
from cmpc_search.training.loop import train
from cmpc_search.training.query_task import SupernetTask

__all__ = ["has_supernet", "load_supernet", "make_supernet", "trained_supernet"]

WEIGHTS_FILE = "supernet.safetensors"
CHECKPOINT_FILE = "checkpoint.safetensors"


def has_supernet(run: RunFolder) -> bool:
    """Tell whether the supernet of ``run`` is trained."""
    return (run.supernet_path / WEIGHTS_FILE).exists()


def make_supernet(
    run: RunFolder,
    material: SearchMaterial,
    views: BatchSource,
    *,
    progress: Progress | None = None,
) -> Supernet:
    """Train the supernet of ``run`` from its beginning or its last checkpoint, and keep it."""
    order = {"kind": "supernet", "run": os.path.abspath(run.path), "material": material.order()}
    with together(order, material.settings.supernet) as compute:
        supernet = trained_supernet(run, material, views, compute=compute, progress=progress)
    write_weights(run.supernet_path / WEIGHTS_FILE, supernet)
    _checkpoint_of(run).unlink(missing_ok=True)
    return supernet


def trained_supernet(
    run: RunFolder,
    material: SearchMaterial,
    views: BatchSource,
    *,
    compute: Compute,
    progress: Progress | None = None,
) -> Supernet:
    """Return the supernet of ``run``, trained from its beginning or its last checkpoint."""
    settings = material.settings
    torch.manual_seed(settings.seed)
    supernet = Supernet(material.space)
    method = make_method(
        settings.method,
        material.gallery_bank,
        settings.method_settings,
        views_per_item=settings.supernet.views_per_item,
    )
    train(
        SupernetTask(
            supernet,
            method,
            settings.supernet,
            seed=settings.seed,
            max_macs=settings.budget.macs,
        ),
        views.batches(settings.supernet, seed=settings.seed, compute=compute),
        settings.supernet,
        Execution(compute=compute, checkpoint=_checkpoint_of(run), progress=progress),
    )
    return supernet


def _checkpoint_of(run: RunFolder) -> Path:
    return run.supernet_path / CHECKPOINT_FILE


def load_supernet(run: RunFolder, material: SearchMaterial) -> Supernet:
    """Return the trained supernet of ``run``.

    Raises:
        BadRun: it is missing, or of another space.
    """
    supernet = Supernet(material.space)
    try:
        supernet.load_state_dict(load_file(run.supernet_path / WEIGHTS_FILE))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise BadRun(
            f"{run.supernet_path} must hold the trained supernet of space "
            f"{material.space.name!r}; run `cmpc search` to the end of its training ({error})"
        ) from error
    return supernet.eval()
