"""Everything that computes asks where; nothing else names a device."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import cmpc_search
from cmpc_search.compatibility.bank import GalleryBank
from cmpc_search.compatibility.making import make_method
from cmpc_search.gallery.networks.torch_network import TorchNetwork
from cmpc_search.networks.gallery.base import GalleryNetwork
from cmpc_search.networks.gallery.residual import ResidualShape
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.testing.views import bank_of, views_of
from cmpc_search.training.checkpoint import write_weights
from cmpc_search.training.compute import CPU, Compute, here, set_up_torch_as
from cmpc_search.training.embedding import embed_images
from cmpc_search.training.execution import Execution
from cmpc_search.training.gallery_task import train_gallery_network
from cmpc_search.training.loop import train
from cmpc_search.training.query_task import QueryTask
from cmpc_search.training.recalibration import rebuild_batch_norms
from cmpc_search.training.settings import GalleryTraining, QueryTraining

DEVICE_WORDS = re.compile(
    r"""cuda|["']cpu["']|torch\.channels_last|torch\.autocast|set_num_threads|ExecutionProvider"""
)
SHAPE = ResidualShape(
    name="tiny", input_size_px=16, depths=(1, 1), width=4, stem_stride=1, embedding_dim=8
)


class Recorder(Compute):
    """The processor, which keeps what it was asked to place."""

    def __init__(self):
        super().__init__(has_fast_bfloat16=False)
        object.__setattr__(self, "placed", [])

    def place(self, tensor):
        found = super().place(tensor)
        self.placed.append(found)
        return found

    def place_network(self, network):
        self.placed.append(network)
        return super().place_network(network)

    def has(self, one):
        return any(one is other for other in self.placed)


@pytest.fixture
def elsewhere():
    return Recorder()


def training_bank(shapes):
    rows = shapes.select(split="train")
    labels = torch.from_numpy(np.unique(shapes.labels[rows], return_inverse=True)[1])
    return bank_of(torch.from_numpy(shapes.images[rows]), torch.eye(8)[rows % 8], labels)


def test_no_other_file_names_a_device_or_its_ways():
    package = Path(cmpc_search.__file__).parent
    naming = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "testing" not in path.parts and DEVICE_WORDS.search(path.read_text(encoding="utf-8"))
    }

    assert naming == {"training/compute.py"}


def test_all_that_a_step_holds_is_placed(shapes, elsewhere):
    step = (
        training_bank(shapes)
        .batches(
            QueryTraining(num_steps=1, batch_size=8, micro_batches=1), seed=0, compute=elsewhere
        )
        .at(0)
    )

    for tensor in (step.views, step.item_ids, step.labels, step.gallery_embeddings):
        assert elsewhere.has(tensor)
    assert step.views.is_contiguous(memory_format=torch.channels_last)


def test_a_gallery_network_is_trained_where_it_is_placed(shapes, elsewhere):
    short = GalleryTraining(num_steps=1, classes_per_batch=2)

    train_gallery_network(SHAPE, shapes, short, views_of(shapes), Execution(compute=elsewhere))

    tasks = [one for one in elsewhere.placed if isinstance(one, torch.nn.Module)]
    assert [type(task.network) for task in tasks] == [GalleryNetwork]
    assert sum(isinstance(one, torch.Tensor) and one.ndim == 4 for one in elsewhere.placed) == 1


def test_views_are_made_and_embedded_where_they_are_placed(shapes, elsewhere):
    numbers = torch.arange(5)
    views_of(shapes).make(numbers, numbers, elsewhere)
    network = GalleryNetwork(SHAPE)
    embed_images(network, shapes.images[:4], compute=elsewhere)
    rebuild_batch_norms(network, torch.rand(6, 3, 16, 16), compute=elsewhere)

    batches = [len(one) for one in elsewhere.placed if isinstance(one, torch.Tensor)]
    assert batches == [5, 4, 6]
    assert [one for one in elsewhere.placed if isinstance(one, torch.nn.Module)] == [network] * 2


@pytest.fixture
def guarded(elsewhere):
    """Let no network read a tensor, nor compute itself, that was not placed before."""
    before, read = here(), []

    def check(module, arguments):
        if isinstance(module, PlanNetwork):
            read.append(module)
            assert elsewhere.has(arguments[0]), "a tensor was not placed"
            above = [one for one in elsewhere.placed if isinstance(one, torch.nn.Module)]
            assert any(module in one.modules() for one in above), "a network was not placed"

    hook = torch.nn.modules.module.register_module_forward_pre_hook(check)
    set_up_torch_as(elsewhere)
    yield read
    set_up_torch_as(before)
    hook.remove()


def test_no_network_reads_what_was_not_placed_on_the_device_that_is_set(
    shapes, elsewhere, guarded, tmp_path
):
    short = GalleryTraining(num_steps=1, classes_per_batch=4, whitening_power=0.5)
    trained, _ = train_gallery_network(
        SHAPE, shapes, short, views_of(shapes), execution=Execution()
    )
    write_weights(tmp_path / "weights", trained)
    TorchNetwork(tmp_path / "weights", trained.shape).embed(shapes.images, is_narrow=True)
    network, training = GalleryNetwork(SHAPE), QueryTraining(num_steps=2, batch_size=8)
    known = GalleryBank(embeddings=torch.eye(8), labels=torch.arange(8) % 6)
    batches = training_bank(shapes).batches(training, seed=0, compute=here())
    train(QueryTask(network, make_method("bct+regression", known)), batches, training, Execution())
    rebuild_batch_norms(network, torch.rand(6, 3, 16, 16))
    embed_images(network, shapes.images)

    assert {type(module) for module in guarded} == {GalleryNetwork}
    assert network in guarded


def test_onnx_runtime_is_asked_for_the_device_first():
    assert Compute(device="cuda:1").onnx_providers[0].startswith("CUDA")
    assert [name[:3] for name in CPU.onnx_providers] == ["CPU"]


def test_what_is_computed_does_not_depend_on_who_places_it(shapes, elsewhere):
    training = QueryTraining(num_steps=3, batch_size=8)
    bank = training_bank(shapes)
    known = GalleryBank(embeddings=torch.eye(8), labels=torch.arange(8) % 6)
    weights = []
    for compute in (CPU, elsewhere):
        torch.manual_seed(0)
        network = GalleryNetwork(SHAPE)
        task = QueryTask(network, make_method("bct+regression", known))
        batches = bank.batches(training, seed=0, compute=compute)
        train(task, batches, training, Execution(compute=compute))
        weights.append(network.state_dict())

    assert all(weights[0][name].equal(value) for name, value in weights[1].items())


def test_processes_share_the_micro_batches_of_a_step():
    both = [Compute(rank=rank, world=2) for rank in (0, 1)]

    assert [[*one.parts(6)] for one in both] == [[0, 2, 4], [1, 3, 5]]
    assert [one.is_first for one in both] == [True, False]


@pytest.mark.parametrize(
    ("compute", "num_parts", "num_steps", "count"),
    [
        (Compute(threads=4, processes=None), 4, 2000, 4),
        (Compute(threads=3, processes=None), 4, 2000, 2),  # each has as many micro-batches
        (Compute(threads=4, processes=None), 1, 2000, 1),
        (Compute(threads=64, processes=None), 64, 2000, 8),
        (Compute(threads=4, processes=None), 4, 20, 1),  # over before the others have started
        (Compute(threads=1, processes=3), 6, 20, 3),  # but as wished
        (Compute(device="cuda", threads=4, processes=None), 4, 2000, 1),
    ],
)
def test_as_many_processes_train_as_divide_a_step_and_are_worth_it(
    compute, num_parts, num_steps, count
):
    assert compute.processes_for(num_parts, num_steps) == count


@pytest.mark.parametrize(("is_fast", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_products_are_narrow_where_that_is_fast_and_asked_for(is_fast, precision):
    compute = replace(CPU, has_fast_bfloat16=is_fast)

    with compute.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)

    assert compute.precision == precision
    assert product.dtype == getattr(torch, precision)
