"""Templates of a set are embedded by the side that each stands on, and named by their numbers."""

from dataclasses import replace

import numpy as np
import pytest
from known_set import DIM, RedNetwork
from made_up_ijbc import make_ijbc

from cmpc_search.data import ImageSet, TemplateLists
from cmpc_search.data.image_set import Drops
from cmpc_search.data.sources.catalogue import use_copy
from cmpc_search.stages.other_data import on_other_data
from cmpc_search.stages.scored_queries import scored_names, scored_queries
from cmpc_search.stages.template_judging import TemplateJudge, template_items

# Person, template, gallery, and the red and the green value of its one picture: the network sees
# red, the gallery network green, and what is not equal has nothing in common.
TEMPLATES = [
    ("cid", 0, 0, 9, 9),
    ("bob", 1, 1, 5, 1),
    ("ann", 2, 0, 3, 0),
    ("ann", 3, -1, 0, 0),
    ("bob", 4, -1, 5, 1),
]
PAIRS = [[2, 3], [1, 4], [2, 4], [1, 3]]


@pytest.fixture
def known():
    """A judge of TEMPLATES, whose pictures come in another order than their templates."""
    people, ids, galleries, reds, greens = zip(*reversed(TEMPLATES), strict=True)
    images = np.zeros((len(ids), 1, 1, 3), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = reds, greens
    names = ("ann", "bob", "cid")
    item_names = tuple(f"{number}.jpg" for number in range(len(ids)))
    image_set = ImageSet(
        name="known",
        images=images,
        labels=np.array([names.index(person) for person in people]),
        class_names=names,
        is_query=np.array(galleries) < 0,
        split=np.full(len(ids), 2, np.int8),
        item_names=item_names,
        sha256="0",
        licences=(),
        drops=Drops(),
    )
    lists = TemplateLists(
        item_names=item_names,
        template_ids=np.array(ids),
        media_ids=np.zeros(len(ids), np.int64),
        galleries=np.array(galleries),
        pairs=np.array(PAIRS),
    )
    rows = np.eye(DIM, dtype=np.float32)[list(greens)]
    return TemplateJudge(image_set=image_set, templates=lists, gallery_rows=rows)


def test_each_pair_of_networks_embeds_the_side_that_it_names(known):
    both = known.both_ways(RedNetwork(), known.image_set)

    # Where nothing is equal, all scores are 0, and the templates stand in their order.
    assert known.paragon().ranks.best_ranks.tolist() == [1, 1]
    assert both.homogeneous.ranks.best_ranks.tolist() == [3, 1]
    assert both.heterogeneous.ranks.best_ranks.tolist() == [1, 2]


def test_of_a_listed_pair_the_query_network_embeds_the_first_template(known):
    both = known.both_ways(RedNetwork(), known.image_set)

    # Red 3 and 5 of templates 2 and 1 are no green of 3 and 4; green 0 of 2 would be red 0 of 3.
    assert both.heterogeneous.metrics["tar_at_far_1e-4"] == 0
    assert known.paragon().metrics["tar_at_far_1e-4"] == 1


def test_what_was_ranked_is_counted_and_named_by_templates(known):
    items = template_items(known.image_set, known.templates)
    ranks = known.paragon().ranks

    assert scored_names(items, ranks) == ("template 3", "template 4")
    queries = scored_queries(items, ranks)
    assert (queries.num_queries, queries.num_classes, queries.num_gallery) == (2, 2, 3)


def test_a_set_that_only_tests_is_other_data_with_its_templates(material, tmp_path):
    cache_dir = tmp_path / "cache"
    use_copy("ijbc", make_ijbc(tmp_path / "IJBC"), cache_dir)

    there = on_other_data(replace(material, cache_dir=cache_dir), "ijbc")

    assert there.templates.item_names == there.image_set.item_names
    assert there.images_at(8).item_names == there.image_set.item_names
    assert np.linalg.norm(there.gallery_rows, axis=1) == pytest.approx(1)
