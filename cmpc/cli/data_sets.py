"""Getting a data set ready, with progress shown: in the same words for every command."""

from pathlib import Path

from cmpc.progress import progress
from cmpc_search.data import ImageSet, load_image_set

__all__ = ["prepare"]


def prepare(name_or_path: str, *, size_px: int, split_seed: int, cache_dir: Path) -> ImageSet:
    """Return a data set at one size; see `load_image_set` for the errors that it raises."""
    with progress(f"Preparing {name_or_path}") as steps:
        return load_image_set(
            name_or_path, size_px=size_px, seed=split_seed, cache_dir=cache_dir, progress=steps
        )
