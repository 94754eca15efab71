"""Galleries by an order: several made one, one that comes with cmpc, one of several views."""

import numpy as np
import pytest
import torch

from cmpc_search import (
    GalleryEmbedOrder,
    GalleryEnsembleOrder,
    GalleryShippedOrder,
    run_gallery_embedding,
    run_gallery_ensemble,
    run_gallery_shipped,
)
from cmpc_search.errors import BadArgument
from cmpc_search.gallery import open_gallery, save_gallery_network
from cmpc_search.gallery.shipped.packing import pack_shipped
from cmpc_search.networks.gallery.base import GalleryNetwork
from cmpc_search.networks.gallery.residual import ResidualShape
from cmpc_search.runs.evaluation import SeenClasses
from cmpc_search.stages import gallery_making
from cmpc_search.stages.seen_classes import check_seen_classes

SHAPE = ResidualShape(name="tiny", input_size_px=32, depths=(1, 1), width=4, embedding_dim=8)


@pytest.fixture
def make_gallery(tmp_path, pictures, image_set):
    def make(seed):
        torch.manual_seed(seed)
        num_classes = len(image_set.labels_in(image_set.select(split="train")))
        directions = torch.nn.functional.normalize(torch.randn(num_classes, 8), dim=1)
        network, facts = GalleryNetwork(SHAPE).eval(), {"data": str(pictures)}
        return save_gallery_network(
            tmp_path / f"member-{seed}", network, directions, image_set, facts=facts
        )

    return make


def test_several_galleries_are_made_one_of_the_same_unseen_classes(
    tmp_path, make_gallery, image_set, cache_dir
):
    members = tuple(make_gallery(seed).path for seed in (0, 1))

    made = run_gallery_ensemble(
        GalleryEnsembleOrder(folder=tmp_path / "all", members=members, cache_dir=cache_dir)
    )

    assert open_gallery(made.path).rows_of(image_set).shape == (36, 8)
    assert check_seen_classes(made, image_set) == SeenClasses.UNSEEN


def test_views_of_an_item_are_remembered_by_its_gallery(make_gallery, image_set, cache_dir):
    order = {"folder": make_gallery(0).path, "cache_dir": cache_dir}
    single = run_gallery_embedding(GalleryEmbedOrder(**order)).embeddings.rows

    several = run_gallery_embedding(GalleryEmbedOrder(**order, views_per_item=3)).embeddings.rows
    again = run_gallery_embedding(GalleryEmbedOrder(**order)).embeddings

    assert not np.allclose(several[~image_set.is_query], single[~image_set.is_query], atol=1e-4)
    assert again.views_per_item == 3
    np.testing.assert_allclose(again.rows, several, atol=1e-6)


def test_a_network_that_comes_with_cmpc_is_a_gallery_at_once(
    tmp_path, make_gallery, image_set, cache_dir, monkeypatch
):
    (tmp_path / "log").write_text("")
    trained = make_gallery(0)
    pack_shipped(trained.path, tmp_path / "packed", image_set, log_path=tmp_path / "log")
    monkeypatch.setattr(gallery_making, "open_shipped", lambda name: tmp_path / "packed")
    data = trained.data

    order = GalleryShippedOrder(folder=tmp_path / "made", data=data, cache_dir=cache_dir)
    made = run_gallery_shipped(order)

    np.testing.assert_allclose(
        made.embed(image_set.images), trained.embed(image_set.images), atol=5e-3
    )
    assert check_seen_classes(made, image_set) == SeenClasses.UNSEEN
    assert run_gallery_shipped(order).network_sha256 == made.network_sha256
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    other = GalleryShippedOrder(folder=tmp_path / "full", data=data, cache_dir=cache_dir)
    with pytest.raises(BadArgument, match="must be a new or empty folder"):
        run_gallery_shipped(other)
