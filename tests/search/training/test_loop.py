"""The training loop: a run that was killed ends where an undisturbed one does."""

import math
import random
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn

from cmpc_search.errors import BadRun
from cmpc_search.networks.supernet import Supernet
from cmpc_search.space.presets.shufflenet import ShuffleNetSpace, Stage
from cmpc_search.training.compute import use_channels_last
from cmpc_search.training.loop import Schedule, optimise

SPACE = ShuffleNetSpace(
    name="tiny",
    input_size_px=8,
    stem_channels=4,
    stem_stride=1,
    stages=(Stage(8, 2),),
    head_channels=8,
    embedding_dim=4,
    widths=(0.5, 1.0),
)
SCHEDULE = Schedule(num_steps=12, learning_rate=0.02, weight_decay=0.1, checkpoint_steps=4)


class Killed(Exception):
    """Stands for anything that ends a process."""


def fresh_supernet(seed):
    torch.manual_seed(seed)
    supernet = Supernet(SPACE)
    use_channels_last(supernet)
    return supernet


def loss_of(supernet, *, dies_at=None):
    """Return a loss that, as in training, draws batch and path from the step's number alone."""

    def loss_at(step):
        if step == dies_at:
            raise Killed
        images = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        return supernet(images, SPACE.sample(random.Random(step)))[:, 0].mean()

    return loss_at


@pytest.mark.parametrize("dies_at", [3, 4, 11], ids="at-step-{}".format)
def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(tmp_path, dies_at):
    undisturbed = fresh_supernet(0)
    optimise(undisturbed, loss_of(undisturbed), SCHEDULE)
    schedule = replace(SCHEDULE, checkpoint=tmp_path / "deep" / "state.safetensors")
    killed = fresh_supernet(0)
    with pytest.raises(Killed):
        optimise(killed, loss_of(killed, dies_at=dies_at), schedule)
    steps = []

    # The next process starts from other weights, as long as there is a checkpoint to go on from.
    again = fresh_supernet(0 if dies_at < SCHEDULE.checkpoint_steps else 1)
    optimise(again, loss_of(again), schedule, progress=lambda done, _: steps.append(done))

    first = dies_at // SCHEDULE.checkpoint_steps * SCHEDULE.checkpoint_steps
    assert steps == [*range(first + 1, 13)]
    for name, weight in undisturbed.state_dict().items():
        assert again.state_dict()[name].equal(weight), name


def test_a_finished_run_is_read_back_without_a_step(tmp_path):
    schedule = replace(SCHEDULE, checkpoint=tmp_path / "state.safetensors")
    first = fresh_supernet(0)
    optimise(first, loss_of(first), schedule)

    again = fresh_supernet(1)
    optimise(again, loss_of(again, dies_at=0), schedule, progress=pytest.fail)

    for name, weight in first.state_dict().items():
        assert again.state_dict()[name].equal(weight), name
    assert [one.name for one in tmp_path.iterdir()] == ["state.safetensors"]


def quadratic(network):
    return lambda step: sum(parameter.square().sum() for parameter in network.parameters())


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    schedule = replace(SCHEDULE, checkpoint=tmp_path / "state.safetensors")
    small, large = nn.Linear(2, 2), nn.Linear(3, 2)
    optimise(small, quadratic(small), schedule)

    with pytest.raises(BadRun, match="must be a checkpoint of this network; delete it"):
        optimise(large, quadratic(large), schedule)


@pytest.mark.parametrize("content", [b"", b"\x08" + bytes(20), b"not a checkpoint at all"])
def test_a_damaged_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "state.safetensors"
    path.write_bytes(content)
    network = nn.Linear(2, 2)

    with pytest.raises(BadRun, match="must be a checkpoint of this network"):
        optimise(network, quadratic(network), replace(SCHEDULE, checkpoint=path))


@pytest.mark.parametrize("keeps", [False, True], ids=["without-checkpoint", "with-checkpoint"])
def test_a_loss_that_is_no_number_ends_the_run_and_is_not_kept(tmp_path, keeps):
    network = nn.Linear(2, 2)
    path = tmp_path / "state.safetensors"
    schedule = replace(SCHEDULE, checkpoint=path if keeps else None)

    with pytest.raises(BadRun, match=r"must stay finite, got nan at step .*; lower the learning"):
        optimise(network, lambda step: network.weight.sum() * math.nan, schedule)

    assert not path.exists()


def test_the_rate_climbs_for_a_tenth_then_falls_along_a_cosine_to_nothing():
    schedule = Schedule(num_steps=100, learning_rate=0.5)
    rates = [schedule.rate_at(step) for step in range(101)]

    assert rates[:10] == pytest.approx([0.05 * done for done in range(1, 11)])
    assert max(rates) == rates[10] == 0.5
    assert all(after < before for before, after in pairwise(rates[10:]))
    assert rates[10 + 30] == pytest.approx(
        0.5 * (1 + 0.5) / 2
    )  # a third of the way: cos 60 degrees
    assert rates[10 + 45] == pytest.approx(0.25)
    assert rates[100] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("num_steps", [1, 2, 3])
def test_the_shortest_schedules_still_learn(num_steps):
    schedule = Schedule(num_steps=num_steps, learning_rate=0.5)

    assert schedule.rate_at(0) == 0.5
    assert all(schedule.rate_at(step) > 0 for step in range(num_steps))


def test_frozen_and_untouched_parameters_stay_and_biases_are_not_decayed():
    network = nn.ModuleDict({name: nn.Linear(2, 2) for name in ("used", "unused", "frozen")})
    network["frozen"].requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}

    def loss_at(step):  # a gradient of zero: weight decay alone moves anything
        return network["used"](torch.zeros(1, 2)).sum() * 0

    optimise(network, loss_at, replace(SCHEDULE, weight_decay=0.5))

    changed = {
        name for name, value in network.state_dict().items() if not value.equal(before[name])
    }
    assert changed == {"used.weight"}
