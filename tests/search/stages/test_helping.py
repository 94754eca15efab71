"""Every kind of training may be shared between processes, and comes out the same."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from cmpc_search.runs import RunFolder
from cmpc_search.stages.baselines.base import Contest
from cmpc_search.stages.baselines.catalogue import BASELINES
from cmpc_search.stages.gallery_training import train_gallery
from cmpc_search.stages.pick_training import control_plan, pick_plan
from cmpc_search.stages.seeds import Seed, parts_of
from cmpc_search.stages.settings import GallerySettings, TrainSettings
from cmpc_search.stages.supernet import make_supernet
from cmpc_search.stages.view_banks import make_view_bank
from cmpc_search.training.compute import here, set_up_torch, set_up_torch_as
from cmpc_search.training.settings import GalleryTraining, PickTraining, SupernetTraining

pytestmark = pytest.mark.slow

SHORT = SupernetTraining(num_steps=3, batch_size=8)


@pytest.fixture
def by_processes():
    """Return a function that does the same once with one process and once with two."""
    before = here()

    def both(work):
        found = []
        for processes in (1, 2):
            set_up_torch(1, processes=processes)
            found.append(work(processes))
        return found

    yield both
    set_up_torch_as(before)


def assert_alike(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-3, atol=1e-4)


def _hand_made(material, architecture, training):
    contest = Contest(material=material, architecture=architecture, training=training, num_random=0)
    return BASELINES.load("mobilenet-v2")(contest)[0]


def test_supernet_pick_control_and_a_network_made_by_hand(by_processes, material, tmp_path):
    short = replace(material, settings=material.settings.model_copy(update={"supernet": SHORT}))
    settings = TrainSettings(pick=PickTraining(num_steps=3, batch_size=8), control_steps=3)

    def work(processes):
        run = RunFolder(tmp_path / str(processes))
        views, architecture = make_view_bank(short), short.space.smallest()
        supernet = make_supernet(run, short, views).state_dict()
        parts = parts_of(run, short, Seed(number=0))
        plans = (
            pick_plan(run, parts, architecture, settings),
            control_plan(run, short, architecture, settings),
            _hand_made(short, architecture, settings.pick).query_plan(run, parts, settings.pick),
        )
        return [supernet, *(load_file(plan.train(views).weights_path) for plan in plans)]

    for one, other in zip(*by_processes(work), strict=True):
        assert_alike(one, other)


@pytest.mark.parametrize("has_further_data", [False, True])
def test_gallery_network(
    by_processes, has_further_data, pictures, image_set, cache_dir, tmp_path, more_pictures
):
    training = GalleryTraining(num_steps=3, classes_per_batch=5)
    settings = GallerySettings(
        data=str(pictures),
        further_data=(str(more_pictures),) if has_further_data else (),
        depths="1,1",
        width=4,
        input_size_px=32,
        training=training,
    )

    def work(processes):
        folder = tmp_path / str(processes)
        train_gallery(folder, settings, image_set, cache_dir=cache_dir)
        return load_file(folder / "network.safetensors")

    assert_alike(*by_processes(work))
