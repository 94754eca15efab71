"""The row of a gallery item is the mean over its views; that of a query is its own."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cmpc_search.embeddings import read_embeddings
from cmpc_search.errors import BadEmbeddings
from cmpc_search.gallery import embed_gallery, open_gallery, remember_views
from cmpc_search.gallery.item_views import mild_view


def test_rows_of_gallery_items_are_means_and_those_of_queries_are_not(gallery, image_set):
    single = embed_gallery(gallery, image_set).rows
    remember_views(gallery, 3)

    rows = embed_gallery(open_gallery(gallery.path), image_set).rows

    is_query = image_set.is_query
    np.testing.assert_allclose(rows[is_query], single[is_query], atol=1e-6)
    of_views = [gallery.embed(mild_view(image_set.images, number, 3)) for number in range(3)]
    total = np.sum(of_views, axis=0)[~is_query]
    expected = total / np.linalg.norm(total, axis=1, keepdims=True)
    np.testing.assert_allclose(rows[~is_query], expected, atol=1e-6)
    assert not np.allclose(rows[~is_query], single[~is_query], atol=1e-3)


def test_embeddings_of_other_views_are_replaced_not_joined(gallery, image_set):
    embed_gallery(gallery, image_set)
    changed = remember_views(gallery, 2)
    made = embed_gallery(changed, image_set)

    assert len(list(gallery.path.glob("embeddings*"))) == 1
    assert read_embeddings(gallery.path).views_per_item == 2
    found = open_gallery(gallery.path).rows_of(image_set)
    np.testing.assert_allclose(found, made.rows, atol=1e-6)


def test_views_are_spread_around_the_image_and_keep_its_paper(image_set):
    paper = np.full((1, 16, 16, 3), 200, np.uint8)
    dot = paper.copy()
    dot[:, 6:10, 6:10] = 0

    def centre(image):
        ink = 200.0 - image[0, :, :, 0]
        rows, columns = np.indices(ink.shape)
        return np.array([(rows * ink).sum(), (columns * ink).sum()]) / ink.sum()

    views = [mild_view(dot, number, 5) for number in range(5)]

    np.testing.assert_array_equal(views[0], dot)
    moves = np.array([centre(view) - centre(dot) for view in views[1:]])
    np.testing.assert_allclose(np.linalg.norm(moves, axis=1), 0.03 * 16, rtol=0.15)
    np.testing.assert_allclose(moves.sum(axis=0), 0, atol=0.15)
    np.testing.assert_array_equal(mild_view(paper, 1, 5), paper)


@pytest.mark.parametrize("told", ["0", "many", "-1"])
def test_a_file_that_tells_nonsense_of_its_views_is_refused(gallery, image_set, told):
    embed_gallery(gallery, image_set)
    path = gallery.path / "embeddings.safetensors"
    save_file(load_file(path), path, {"views_per_item": told})

    with pytest.raises(BadEmbeddings, match="must be a number from 1"):
        read_embeddings(path)
