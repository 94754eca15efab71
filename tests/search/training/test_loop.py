"""The training loop: a run that was killed ends where an undisturbed one does."""

import math
import random
from itertools import pairwise

import pytest
import torch
from torch import nn

from cmpc_search.compatibility.base import Step
from cmpc_search.errors import BadRun
from cmpc_search.networks.shared import Supernet
from cmpc_search.space.presets.shufflenet import ShuffleNetSpace, Stage
from cmpc_search.training.compute import CPU
from cmpc_search.training.execution import Execution
from cmpc_search.training.loop import train
from cmpc_search.training.settings import Training
from cmpc_search.training.task import Task

SPACE = ShuffleNetSpace(
    name="tiny",
    input_size_px=8,
    stem_channels=(4,),
    stem_strides=(1,),
    stages=(Stage(8, 2),),
    head_channels=(8,),
    embedding_dim=4,
    widths=(0.5, 1.0),
)
TRAINING = Training(num_steps=12, learning_rate=0.02, weight_decay=0.1)
AVERAGED = TRAINING.model_copy(update={"ema_decay": 0.9, "clip_norm": 0.1})
CHECKPOINT_STEPS = 4


class Killed(Exception):
    """Stands for anything that ends a process."""


class RandomBatches:
    """Six images a step, drawn, as in training, from the step's number alone."""

    def __init__(self, num_parts=2):
        self.num_parts = num_parts

    def at(self, number, part=0):
        images = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(number))
        images = images[part :: self.num_parts]
        return Step(
            number=number,
            progress=number / TRAINING.num_steps,
            views=images,
            item_ids=torch.arange(6)[part :: self.num_parts],
            labels=None,
        )


class PathTask(Task):
    """A supernet of which a path is trained in each step."""

    def __init__(self, seed, dies_at=None):
        super().__init__()
        torch.manual_seed(seed)
        self.network, self.dies_at = Supernet(SPACE), dies_at

    def losses(self, step):
        if step.number == self.dies_at:
            raise Killed
        architecture = SPACE.sample(random.Random(step.number))
        return {"mean": self.network(step.views, architecture)[:, 0].mean()}


class NetworkTask(Task):
    """Any modules, and losses that look at their parameters alone."""

    def __init__(self, network, losses):
        super().__init__()
        self.network, self._losses = network, losses

    def losses(self, step):
        return self._losses(self.network)


def run(task, training=TRAINING, **execution):
    train(
        task, RandomBatches(), training, Execution(checkpoint_steps=CHECKPOINT_STEPS, **execution)
    )


def squares(network):
    return {"squares": sum(parameter.square().sum() for parameter in network.parameters())}


@pytest.mark.parametrize("training", [TRAINING, AVERAGED], ids=["plain", "averaged"])
@pytest.mark.parametrize("dies_at", [3, 4, 11], ids="at-step-{}".format)
def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(tmp_path, dies_at, training):
    undisturbed = PathTask(0)
    run(undisturbed, training)
    checkpoint = tmp_path / "deep" / "state.safetensors"
    with pytest.raises(Killed):
        run(PathTask(0, dies_at), training, checkpoint=checkpoint)
    steps = []

    # The next process starts from other weights, as long as there is a checkpoint to go on from.
    again = PathTask(0 if dies_at < CHECKPOINT_STEPS else 1)
    run(again, training, checkpoint=checkpoint, progress=lambda done, _: steps.append(done))

    first = dies_at // CHECKPOINT_STEPS * CHECKPOINT_STEPS
    assert steps == [*range(first + 1, 13)]
    for name, weight in undisturbed.state_dict().items():
        assert again.state_dict()[name].equal(weight), name


def test_a_finished_run_is_read_back_without_a_step(tmp_path):
    checkpoint = tmp_path / "state.safetensors"
    first = PathTask(0)
    run(first, checkpoint=checkpoint)

    again = PathTask(1, dies_at=0)
    run(again, checkpoint=checkpoint, progress=pytest.fail)

    for name, weight in first.state_dict().items():
        assert again.state_dict()[name].equal(weight), name
    assert [one.name for one in tmp_path.iterdir()] == ["state.safetensors"]


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    checkpoint = tmp_path / "state.safetensors"
    run(NetworkTask(nn.Linear(2, 2), squares), checkpoint=checkpoint)

    with pytest.raises(BadRun, match="must be a checkpoint of this network; delete it"):
        run(NetworkTask(nn.Linear(3, 2), squares), checkpoint=checkpoint)


@pytest.mark.parametrize("content", [b"", b"\x08" + bytes(20), b"not a checkpoint at all"])
def test_a_damaged_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "state.safetensors"
    path.write_bytes(content)

    with pytest.raises(BadRun, match="must be a checkpoint of this network"):
        run(NetworkTask(nn.Linear(2, 2), squares), checkpoint=path)


@pytest.mark.parametrize("keeps", [False, True], ids=["without-checkpoint", "with-checkpoint"])
def test_a_loss_that_is_no_number_ends_the_run_and_is_not_kept(tmp_path, keeps):
    path = tmp_path / "state.safetensors"

    def losses(network):
        return squares(network) | {"wild": network.weight.sum() * math.nan}

    with pytest.raises(
        BadRun, match=r"must stay finite, got nan at step 1 \(squares .*, wild nan\); lower the lea"
    ):
        run(NetworkTask(nn.Linear(2, 2), losses), checkpoint=path if keeps else None)

    assert not path.exists()


def test_the_rate_climbs_for_a_tenth_then_falls_along_a_cosine_to_nothing():
    training = Training(num_steps=100, learning_rate=0.5, weight_decay=0)
    rates = [training.rate_at(step) for step in range(101)]

    assert rates[:10] == pytest.approx([0.05 * done for done in range(1, 11)])
    assert max(rates) == rates[10] == 0.5
    assert all(after < before for before, after in pairwise(rates[10:]))
    assert rates[10 + 30] == pytest.approx(
        0.5 * (1 + 0.5) / 2
    )  # a third of the way: cos 60 degrees
    assert rates[10 + 45] == pytest.approx(0.25)
    assert rates[100] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("num_steps", [1, 2, 3])
def test_the_shortest_trainings_still_learn(num_steps):
    training = Training(num_steps=num_steps, learning_rate=0.5, weight_decay=0)

    assert training.rate_at(0) == 0.5
    assert all(training.rate_at(step) > 0 for step in range(num_steps))


def test_frozen_and_untouched_parameters_stay_and_biases_are_not_decayed():
    network = nn.ModuleDict({name: nn.Linear(2, 2) for name in ("used", "unused", "frozen")})
    network["frozen"].requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}

    def losses(network):  # a gradient of zero: weight decay alone moves anything
        return {"nothing": network["used"](torch.zeros(1, 2)).sum() * 0}

    decaying = Training(num_steps=12, learning_rate=0.02, weight_decay=0.5)
    run(NetworkTask(network, losses), decaying)

    changed = {
        name for name, value in network.state_dict().items() if not value.equal(before[name])
    }
    assert changed == {"used.weight"}


class PartTask(NetworkTask):
    """One weight, drawn to the mean of what it is shown: micro-batches of one step differ."""

    def __init__(self):
        super().__init__(nn.Linear(1, 1, bias=False), None)
        nn.init.ones_(self.network.weight)

    def losses(self, step):
        return {"product": self.network.weight.sum() * step.views.mean()}


def test_the_gradient_of_a_step_is_the_mean_of_its_micro_batches():
    whole, parts = PartTask(), PartTask()

    for task, num_parts in ((whole, 1), (parts, 3)):
        one_step = Training(num_steps=1, learning_rate=0.5, weight_decay=0)
        train(task, RandomBatches(num_parts), one_step, Execution())

    torch.testing.assert_close(parts.network.weight.grad, whole.network.weight.grad)
    assert whole.network.weight.grad.item() == pytest.approx(
        RandomBatches(1).at(0).views.mean().item()
    )


def test_a_gradient_is_cut_to_the_longest_allowed():
    task = PartTask()
    clipped = Training(num_steps=1, learning_rate=0.5, weight_decay=0, clip_norm=0.125)

    run(task, clipped)

    assert task.network.weight.grad.item() == pytest.approx(0.125, rel=1e-4)


def test_what_is_kept_is_the_average_of_weights_by_its_formula():
    seen = []

    class Watched(PartTask):
        def after_step(self, step):
            seen.append(self.network.weight.item())

    averaged = Training(num_steps=12, learning_rate=0.02, weight_decay=0.1, ema_decay=0.3)
    task = Watched()
    run(task, averaged)

    expected = 1.0
    for number, weight in enumerate(seen):
        decay = min(0.3, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * weight
    assert task.network.weight.item() == pytest.approx(expected, rel=1e-6)
    assert expected != pytest.approx(seen[-1], rel=1e-6)


def test_statistics_of_batch_norms_are_averaged_with_the_weights():
    task = NetworkTask(nn.BatchNorm1d(1), lambda network: squares(network))
    task.losses = lambda step: {"seen": task.network(step.views.mean((1, 2, 3))[:, None]).sum()}

    run(task, TRAINING.model_copy(update={"ema_decay": 0.5, "num_steps": 1}))

    rows = [RandomBatches().at(0, part).views.mean((1, 2, 3)) for part in (0, 1)]
    running = 0.0
    for row in rows:
        running = 0.9 * running + 0.1 * row.mean().item()
    assert task.network.running_mean.item() == pytest.approx(0.1 * 0 + 0.9 * running, rel=1e-5)


class AveragedTask(NetworkTask):
    """Merges two gradients as it likes, and keeps a running average of its weight."""

    def __init__(self):
        super().__init__(nn.Linear(2, 1, bias=False), squares)
        self.register_buffer("average", torch.zeros(1, 2))

    def backward(self, step):
        losses = {"up": self.network.weight.sum(), "down": -3 * self.network.weight.sum()}
        gradients = [torch.autograd.grad(loss, self.network.weight)[0] for loss in losses.values()]
        merged = torch.maximum(*gradients)  # their sum would point up
        grad = self.network.weight.grad
        self.network.weight.grad = merged if grad is None else grad + merged
        return losses

    def after_step(self, step):
        self.average.lerp_(self.network.weight.detach(), 0.5)


def test_a_task_may_merge_gradients_and_average_weights_and_both_survive_a_kill(tmp_path):
    checkpoint = tmp_path / "state.safetensors"
    torch.manual_seed(0)
    task = AveragedTask()
    before = task.network.weight.detach().clone()

    run(task, checkpoint=checkpoint)

    assert (task.network.weight < before).all()
    assert task.average.any()
    again = AveragedTask()
    run(again, checkpoint=checkpoint, progress=pytest.fail)
    assert again.average.equal(task.average)


def test_modules_are_placed_before_the_first_step_and_come_back_after_the_last():
    placed = []

    class Elsewhere(type(CPU)):
        def place_network(self, network):
            placed.append(network)
            return super().place_network(network)

    task = PathTask(0)

    run(task, compute=Elsewhere())

    assert placed == [task]
    assert not task.training
    assert {parameter.device.type for parameter in task.parameters()} == {"cpu"}
