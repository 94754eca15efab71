"""Which paths a step trains, and what each of them learns."""

import pytest
import torch

from cmpc_search.compatibility.base import Method, Step
from cmpc_search.networks.shared import Supernet
from cmpc_search.space.presets.shufflenet import ShuffleNetSpace, Stage
from cmpc_search.training.execution import Execution
from cmpc_search.training.loop import train
from cmpc_search.training.query_task import SupernetTask
from cmpc_search.training.settings import SupernetTraining

SPACE = ShuffleNetSpace(
    name="elastic",
    input_size_px=16,
    smaller_inputs_px=(8,),
    stem_channels=(2, 4),
    stem_strides=(1, 2),
    stages=(Stage(8, 2, least_depth=1),),
    head_channels=(8, 16),
    has_layout_head=True,
    embedding_dim=3,
    widths=(0.5, 1.0),
)
VIEWS = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Towards(Method):
    """Pulls all embeddings to one direction."""

    def losses(self, embeddings, step):
        return {"pull": -embeddings[:, 0].mean()}


class SameViews:
    num_parts = 1

    def at(self, number, part=0):
        return step(number)


def step(number=0):
    return Step(number=number, progress=0.0, views=VIEWS, item_ids=torch.arange(8), labels=None)


def task_of(**training):
    torch.manual_seed(0)
    settings = SupernetTraining(num_steps=1, **training)
    return SupernetTask(Supernet(SPACE), Towards(Towards.Settings()), settings, seed=0)


def gradients(task):
    return {name: one.grad for name, one in task.named_parameters() if one.grad is not None}


def test_the_losses_are_those_of_the_paths_that_are_drawn():
    one, three = task_of(), task_of(random_paths=3)

    assert one.losses(step(1))["pull"] != one.losses(step(2))["pull"]
    assert one.losses(step(1))["pull"] == one.losses(step(1))["pull"]
    assert -1 <= one.losses(step(1))["pull"] <= 1
    assert -3 <= three.losses(step())["pull"] <= 3
    assert list(three.losses(step())) == ["pull"]


def test_no_path_is_over_the_budget():
    budget = SPACE.macs(SPACE.largest()) // 4
    training = SupernetTraining(sandwich=True)
    task = SupernetTask(
        Supernet(SPACE), Towards(Towards.Settings()), training, seed=0, max_macs=budget
    )
    seen = []
    task.network.forward = lambda views, path: seen.append(path) or torch.ones(len(views), 3)

    for number in range(20):
        task.losses(step(number))
    assert len(seen) == 60
    assert max(map(SPACE.macs, seen)) <= budget


def test_a_path_after_the_other_leaves_the_gradients_of_all_at_once():
    apart, at_once = (task_of(sandwich=True, random_paths=2) for _ in range(2))

    told = apart.backward(step())
    losses = at_once.losses(step())
    sum(losses.values()).backward()

    torch.testing.assert_close(told, {name: one.detach() for name, one in losses.items()})
    torch.testing.assert_close(gradients(apart), gradients(at_once))


def test_a_sandwich_trains_both_ends_and_lets_all_follow_the_largest():
    task = task_of(sandwich=True, distillation_weight=3.0)
    drawn = task.paths(0)[2]
    largest, smallest, other = (
        task.network(VIEWS, path) for path in (SPACE.largest(), SPACE.smallest(), drawn)
    )
    apart = [1 - torch.cosine_similarity(one, largest).mean() for one in (smallest, other)]

    losses = task.losses(step())

    pull = -sum(one[:, 0].mean() for one in (largest, smallest, other))
    torch.testing.assert_close(losses["pull"], pull)
    torch.testing.assert_close(losses["distillation"], 3 * sum(apart))


def test_the_largest_path_learns_nothing_of_those_that_follow_it():
    class Nothing(Method):
        def losses(self, embeddings, step):
            return {"nothing": 0 * embeddings.sum()}

    task = task_of(sandwich=True)
    task.method = Nothing(Nothing.Settings())
    task.backward(step())

    mine, drawn = (
        {
            f"network.{one.sharing.weight}.weight"
            for path in paths
            for one in SPACE.plan(path).layers
        }
        for paths in ([SPACE.largest()], [SPACE.smallest(), task.paths(0)[2]])
    )
    moved = {name for name, one in gradients(task).items() if one.abs().max() > 1e-7}
    assert moved
    assert moved <= drawn
    assert mine - drawn


def test_a_sandwich_that_was_killed_ends_with_the_weights_of_an_undisturbed_one(tmp_path):
    def trained(seed, progress=None):
        torch.manual_seed(seed)
        training = SupernetTraining(num_steps=5, sandwich=True, ema_decay=0.9)
        task = SupernetTask(Supernet(SPACE), Towards(Towards.Settings()), training, seed=0)
        execution = Execution(checkpoint=kept, checkpoint_steps=2, progress=progress)
        train(task, SameViews(), training, execution)
        return task.state_dict()

    def kill(done, _):
        if done == 3:
            raise KeyboardInterrupt

    kept = None
    undisturbed = trained(0)
    kept = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        trained(0, kill)
    resumed = trained(1)  # from other weights, as another process begins

    assert all(weight.equal(undisturbed[name]) for name, weight in resumed.items())
