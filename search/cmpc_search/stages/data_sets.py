"""Getting a data set ready, with its progress told: in the same words for every stage."""

from pathlib import Path

from cmpc_base.progress import SILENT, Observer
from cmpc_search.data import ImageSet, load_image_set

__all__ = ["prepare_data_set"]


def prepare_data_set(
    name_or_path: str,
    *,
    size_px: int,
    crop_share: float | None = None,
    split_seed: int = 0,
    with_styles: bool = False,
    may_only_test: bool = False,
    cache_dir: Path,
    observer: Observer = SILENT,
) -> ImageSet:
    """Return a data set at one size; see `load_image_set` for the errors that it raises."""
    with observer.progress(f"Preparing {name_or_path}") as steps:
        return load_image_set(
            name_or_path,
            size_px=size_px,
            crop_share=crop_share,
            seed=split_seed,
            with_styles=with_styles,
            may_only_test=may_only_test,
            cache_dir=cache_dir,
            progress=steps,
            on_notice=observer.notice,
        )
