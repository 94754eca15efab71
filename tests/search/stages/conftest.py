"""A folder of made-up pictures and two galleries of it: one with a network, one without."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # for known_set, which several tests share

from cmpc_search.data import load_image_set
from cmpc_search.gallery import GallerySources, embed_gallery, import_gallery, save_gallery_network
from cmpc_search.networks.gallery.base import GalleryNetwork
from cmpc_search.networks.gallery.residual import ResidualShape
from cmpc_search.runs import open_run
from cmpc_search.stages.material import load_material
from cmpc_search.stages.run_material import space_facts
from cmpc_search.stages.settings import SearchSettings

EMBEDDING_DIM = 8


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Twelve classes of three pictures: a colour each, with noise."""
    return _coloured(tmp_path_factory.mktemp("pictures"), seed=0)


@pytest.fixture(scope="session")
def more_pictures(tmp_path_factory):
    """Other pictures of classes of the same names."""
    return _coloured(tmp_path_factory.mktemp("more"), seed=1)


def _coloured(folder, *, seed):
    rng = np.random.default_rng(seed)
    for label in range(12):
        colour = rng.integers(40, 215, 3)
        (folder / f"class{label:02}").mkdir()
        for number in range(3):
            pixels = colour + rng.integers(-40, 40, (32, 32, 3))
            path = folder / f"class{label:02}" / f"{number}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    return folder


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def settings(pictures):
    return SearchSettings(
        data=str(pictures),
        input_size_px=32,  # of which networks take milliseconds
        cost="macs",
        trials=4,
        views_per_image=2,
        mixed_share=0.5,
    )


@pytest.fixture(scope="session")
def image_set(pictures, cache_dir):
    return load_image_set(str(pictures), size_px=32, cache_dir=cache_dir)


@pytest.fixture(scope="session")
def gallery_path(tmp_path_factory, image_set):
    """A gallery whose network nobody trained."""
    path = tmp_path_factory.mktemp("galleries") / "network"
    torch.manual_seed(0)
    shape = ResidualShape(
        name="tiny", input_size_px=32, depths=(1, 1), width=4, embedding_dim=EMBEDDING_DIM
    )
    num_classes = len(np.unique(image_set.labels[image_set.select(split="train")]))
    directions = torch.nn.functional.normalize(torch.randn(num_classes, EMBEDDING_DIM), dim=1)
    gallery = save_gallery_network(
        path, GalleryNetwork(shape).eval(), directions, image_set, facts={}
    )
    embed_gallery(gallery, image_set)
    return path


@pytest.fixture(scope="session")
def ready_gallery_path(tmp_path_factory, gallery_path, image_set):
    """Ready embeddings that name the network of `gallery_path`, but are not its own."""
    folder = tmp_path_factory.mktemp("ready")
    rows = np.random.default_rng(1).standard_normal((len(image_set), EMBEDDING_DIM))
    (folder / "names.txt").write_text("\n".join(image_set.item_names), encoding="utf-8")
    np.save(folder / "rows.npy", rows.astype(np.float32))
    sources = GallerySources(embeddings_path=folder / "rows.npy", ids_path=folder / "names.txt")
    import_gallery(folder / "gallery", sources)
    return folder / "gallery"


@pytest.fixture
def material(settings, gallery_path, cache_dir):
    return load_material(settings, gallery_path, cache_dir=cache_dir)


@pytest.fixture
def run(tmp_path, settings, material):
    return open_run(
        tmp_path / "run",
        settings=settings.model_dump(mode="json"),
        inputs=material.hashes() | space_facts(settings),
    )
