"""Judge a run on data that it was neither searched nor trained on.

Query networks and gallery network are those of the run; only images and their embeddings are of the
other data set. Its test split is embedded anew each time: a gallery keeps embeddings of what one
works with, and nothing of this run shall depend on what it was judged on besides.
"""

from dataclasses import replace

import numpy as np

from cmpc_base.progress import SILENT, Observer
from cmpc_search.data import ImageSet, load_templates
from cmpc_search.gallery import embedded_rows
from cmpc_search.runs.evaluation import OtherData
from cmpc_search.stages.data_sets import prepare_data_set
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.stages.scored_queries import SPLIT
from cmpc_search.stages.seen_classes import classes_seen_elsewhere
from cmpc_search.stages.settings import absolute_data

__all__ = ["on_other_data"]


def on_other_data(
    material: SearchMaterial, data: str, observer: Observer = SILENT
) -> SearchMaterial:
    """Return ``material`` with the images of another data set, and what is known of its classes.

    Raises:
        BadGallery: there is no gallery network to embed the images with.
        UnknownName, BadData, MissingLibrary: the data can't be used.
    """
    gallery = material.gallery
    large = _prepared(material, data, gallery.input_size_px, observer)
    positions = large.select(split=SPLIT)
    rows = np.zeros((len(large), gallery.embedding_dim), np.float32)
    with observer.progress(f"Embedding {data}") as steps:
        rows[positions] = embedded_rows(gallery, large, positions, progress=steps)
    image_set = _prepared(material, data, material.image_set.size_px, observer)
    seen_classes, seen = classes_seen_elsewhere(gallery, material.image_set, image_set)
    other = OtherData(
        name=image_set.name,
        sha256=image_set.sha256,
        num_classes=image_set.counts()[SPLIT].num_classes,
        seen_class_names=tuple(one.name for one in seen),
    )
    return replace(
        material,
        settings=material.settings.model_copy(update={"data": absolute_data(data)}),
        image_set=image_set,
        gallery_rows=rows,
        seen_classes=seen_classes,
        other_data=other,
        templates=load_templates(data, image_set, cache_dir=material.cache_dir),
    )


def _prepared(material: SearchMaterial, data: str, size_px: int, observer: Observer) -> ImageSet:
    return prepare_data_set(
        data,
        size_px=size_px,
        crop_share=material.gallery.crop_share,
        split_seed=material.gallery.split_seed,
        may_only_test=True,
        cache_dir=material.cache_dir,
        observer=observer,
    )
