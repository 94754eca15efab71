"""A gallery network that a student follows is drawn to where the student can follow."""

from dataclasses import replace

import pytest
import torch

from cmpc_search.networks.gallery.base import GalleryNetwork
from cmpc_search.networks.gallery.residual import ResidualShape
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.testing.views import views_of
from cmpc_search.training.compute import CPU
from cmpc_search.training.execution import Execution
from cmpc_search.training.gallery_task import StudentFriendlyTask, train_gallery_network
from cmpc_search.training.pairs import PairBatches
from cmpc_search.training.settings import GalleryTraining

SHAPE = ResidualShape(
    name="tiny", input_size_px=16, depths=(1, 1), width=8, stem_stride=1, embedding_dim=8
)
STUDENT = replace(SHAPE, name="tinier", depths=(1,), width=4).plan()
TRAINING = GalleryTraining(num_steps=8, classes_per_batch=6, learning_rate=0.02, student_weight=20)


@pytest.fixture
def step(shapes):
    return PairBatches(shapes, TRAINING, views_of(shapes), CPU).at(0)


@pytest.fixture
def task():
    networks = GalleryNetwork(SHAPE), PlanNetwork(STUDENT)
    return StudentFriendlyTask(networks[0], 6, TRAINING, CPU, networks[1])


def parts_that_learn(task, loss):
    task.zero_grad()
    loss.backward()
    names = (name for name, weight in task.named_parameters() if weight.grad is not None)
    return {name.split(".")[0] for name in names}


def test_each_side_is_drawn_to_the_other_by_a_loss_of_its_own(task, step):
    halfway = replace(step, progress=0.5)

    losses = task.losses(halfway)

    assert parts_that_learn(task, losses["student"]) == {"student"}
    assert parts_that_learn(task, task.losses(halfway)["to the student"]) == {"network"}
    # Batches are normalised by themselves in training, so both embed as they did in the losses.
    with torch.no_grad(), CPU.autocast():
        apart = 1 - (task.network(step.views).float() * task.student(step.views)).sum(1).mean()
    drawn = 0.5 * TRAINING.student_weight
    torch.testing.assert_close(losses["student"], 10 * apart, rtol=0.02, atol=0.02)
    torch.testing.assert_close(losses["to the student"], drawn * apart, rtol=0.02, atol=0.02)


def test_the_first_step_draws_the_gallery_network_nowhere(task, step):
    assert task.losses(step)["to the student"] == 0


def test_a_gallery_network_that_is_drawn_ends_nearer_to_its_student(shapes):
    def distance(weight):
        tasks = []
        training = TRAINING.model_copy(update={"student_weight": weight, "num_steps": 40})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "cmpc_search.training.gallery_task.StudentFriendlyTask",
                lambda *parts: tasks.append(StudentFriendlyTask(*parts)) or tasks[0],
            )
            network, _ = train_gallery_network(
                SHAPE, shapes, training, views_of(shapes), Execution(), student=STUDENT
            )
        (trained,) = tasks
        views = PairBatches(shapes, training, views_of(shapes, seed=5), CPU).at(0).views
        with torch.no_grad():
            return 1 - (network(views) * trained.student.eval()(views)).sum(1).mean()

    assert distance(TRAINING.student_weight) < distance(0.0)


def test_the_student_is_no_part_of_what_is_kept(shapes):
    short = TRAINING.model_copy(update={"num_steps": 2})

    network, _ = train_gallery_network(
        SHAPE, shapes, short, views_of(shapes), Execution(), student=STUDENT
    )

    assert network.state_dict().keys() == GalleryNetwork(SHAPE).state_dict().keys()
