"""Supernet and pick learn to embed as the gallery does, and go on where they were stopped."""

from dataclasses import replace

import pytest
import torch

from cmpc_search.compatibility.bank import GalleryBank
from cmpc_search.compatibility.base import NO_LABEL
from cmpc_search.compatibility.making import make_method
from cmpc_search.errors import BadRun
from cmpc_search.networks.shared import Supernet
from cmpc_search.space.presets.shufflenet import ShuffleNetSpace, Stage
from cmpc_search.testing.views import bank_of
from cmpc_search.training.execution import Execution
from cmpc_search.training.loop import train
from cmpc_search.training.query_task import QueryTask, SupernetTask
from cmpc_search.training.recalibration import rebuild_batch_norms
from cmpc_search.training.settings import QueryTraining, SupernetTraining

SPACE = ShuffleNetSpace(
    name="tiny",
    input_size_px=8,
    stem_channels=(4,),
    stem_strides=(2,),
    stages=(Stage(8, 2),),
    head_channels=(16,),
    embedding_dim=3,
    widths=(0.5, 1.0),
)
# Corners of a triangle about zero: what an embedding layer that centres can reach.
DIRECTIONS = torch.nn.functional.normalize(torch.eye(3) - 1 / 3)
TRAINING = SupernetTraining(num_steps=80, batch_size=16, learning_rate=0.03)


@pytest.fixture(scope="module")
def bank():
    """Three classes, told apart by the colour that is missing; the gallery knows them exactly."""
    labels = torch.arange(48) % 3
    generator = torch.Generator().manual_seed(0)
    views = torch.randint(150, 256, (48, 8, 8, 3), generator=generator)
    views[torch.arange(48), :, :, labels] //= 4
    return bank_of(views.to(torch.uint8), DIRECTIONS[labels], labels)


def method_of(name):
    labels = torch.arange(3)
    return make_method(name, GalleryBank(embeddings=DIRECTIONS, labels=labels))


def whole(bank):
    """Return all views in one step."""
    return bank.batches(QueryTraining(num_steps=1, batch_size=len(bank)), seed=0).at(0)


def train_supernet(supernet, method, bank, training, **execution):
    task = SupernetTask(supernet, method, training, seed=0)
    train(task, bank.batches(training, seed=0), training, Execution(**execution))


def share_named(network, bank):
    """Return the share of views that lie next to their own class's direction of the gallery."""
    step = whole(bank)
    with torch.inference_mode():
        nearest = (network(step.views) @ DIRECTIONS.T).argmax(dim=1)
    return float((nearest == step.labels).float().mean())


@pytest.fixture
def supernet():
    torch.manual_seed(0)
    return Supernet(SPACE)


@pytest.mark.parametrize("method_name", ["bct", "bct+regression", "csd", "regression"])
def test_a_query_network_learns_to_embed_as_the_gallery(bank, supernet, method_name):
    network = supernet.extract(SPACE.read("-".join(["k3w1.0"] * len(SPACE.blocks))))
    rebuild_batch_norms(network, whole(bank).views)
    before = share_named(network, bank)

    task = QueryTask(network, method_of(method_name))
    train(task, bank.batches(TRAINING, seed=0), TRAINING, Execution())

    assert not network.training
    assert before < 0.7
    assert share_named(network, bank) > 0.9


def test_a_trained_supernet_lends_every_path_weights_that_agree_with_the_gallery(bank, supernet):
    method = method_of("bct+regression")

    longer = TRAINING.model_copy(update={"num_steps": 160})  # a path a step, four operators
    train_supernet(supernet, method, bank, longer)

    for word in ("k3w0.5", "k5w0.5", "k7w0.5", "xcw0.5"):
        network = supernet.extract(SPACE.read("-".join([word] * len(SPACE.blocks))))
        rebuild_batch_norms(network, whole(bank).views)
        assert share_named(network, bank) > 0.8, word


def test_a_batch_of_mixed_views_alone_is_no_error(supernet):
    views = torch.randint(0, 256, (16, 8, 8, 3), dtype=torch.uint8)
    unlabelled = bank_of(views, torch.rand(16, 3), torch.full((16,), NO_LABEL))
    short = TRAINING.model_copy(update={"num_steps": 1})

    train_supernet(supernet, method_of("bct"), unlabelled, short)


def test_a_method_that_needs_no_labels_learns_from_views_without_any(bank, supernet):
    network = supernet.extract(SPACE.read("-".join(["k3w1.0"] * len(SPACE.blocks))))
    unlabelled = replace(bank, labels=None)
    method = make_method("regression", GalleryBank(embeddings=DIRECTIONS, labels=None))

    batches = unlabelled.batches(TRAINING, seed=0)
    train(QueryTask(network, method), batches, TRAINING, Execution())

    assert share_named(network, bank) > 0.9


def test_a_finished_training_is_taken_from_its_checkpoint_and_not_by_another_method(
    bank, supernet, tmp_path
):
    training = SupernetTraining(num_steps=250, batch_size=8)
    path = tmp_path / "supernet.safetensors"
    train_supernet(supernet, method_of("bct"), bank, training, checkpoint=path)
    torch.manual_seed(1)
    again = Supernet(SPACE)

    train_supernet(
        again,
        method_of("bct"),
        bank,
        training,
        checkpoint=path,
        progress=pytest.fail,
    )

    for name, weight in supernet.state_dict().items():
        assert again.state_dict()[name].equal(weight), name
    with pytest.raises(BadRun, match="must be a checkpoint of this network"):
        train_supernet(again, method_of("regression"), bank, training, checkpoint=path)
