"""In which order the networks of a comparison are trained, and from views of which size."""

from dataclasses import replace

import pytest

from cmpc_base.progress import SILENT
from cmpc_search.stages.baselines.base import Contest
from cmpc_search.stages.baselines.in_space import the_pick
from cmpc_search.stages.match import Match
from cmpc_search.stages.material import load_material
from cmpc_search.stages.pick_training import QueryPlan
from cmpc_search.stages.seeds import Seed, parts_of
from cmpc_search.training.settings import PickTraining


@pytest.fixture
def contest(settings, gallery_path, cache_dir):
    """A small pick in a space whose architectures read images of several sizes."""
    several = settings.model_copy(update={"space": "elastic", "input_size_px": None})
    material = load_material(several, gallery_path, cache_dir=cache_dir)
    return Contest(
        material=material,
        architecture=material.space.read(_of_size(material.space, 64)),
        training=PickTraining(num_steps=2, batch_size=4),
        num_random=0,
    )


def _of_size(space, size_px):
    """Return the key of the smallest architecture that reads images of a size."""
    known = space.smallest().key.split("s", 1)[0]
    return space.smallest().key.replace(known, f"r{size_px}", 1)


def test_each_network_is_trained_from_views_of_its_own_size_those_of_the_pick_s_first(
    run, contest, monkeypatch
):
    space, pick = contest.material.space, the_pick(contest)
    others = [
        replace(pick, row="random", name=str(px), architecture=space.read(_of_size(space, px)))
        for px in (96, 32, 64)
    ]
    trained = []
    monkeypatch.setattr(
        QueryPlan,
        "train",
        lambda plan, views, tell: trained.append((plan.facts.architecture, views.maker.size_px)),
    )
    match = Match(
        run=run,
        contest=contest,
        seeds=(parts_of(run, contest.material, Seed(number=0)),),
        is_as_picked=True,
        observer=SILENT,
    )

    match.train([pick, *others], {})

    assert [size_px for _, size_px in trained] == [64, 64, 32, 96]
    sizes = [space.plan(space.read(key)).input_size_px for key, _ in trained]
    assert sizes == [64, 64, 32, 96]
    assert trained[0][0] == contest.architecture.key
