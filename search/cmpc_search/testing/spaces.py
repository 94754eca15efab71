"""What every search space promises.

class TestMine(SpaceContract):
    @pytest.fixture
    def space(self):
        return MINE
"""

import math
import operator
import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cmpc_cost_models.graphs.counting import count_network
from cmpc_search.errors import BadArgument
from cmpc_search.networks.onnx_export import export_network
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.networks.shared import Supernet
from cmpc_search.pixels import resize_images
from cmpc_search.space.base import Architecture, Space

__all__ = ["SpaceContract", "onnx_embedding", "unsettle"]

NUM_IMAGES = 4
DRAWS_PER_OUTCOME = 12  # of a block: an option of one that is often idle is then drawn, too


class SpaceContract:
    """Subclass it and give a ``space`` fixture, of few and small images if it shall be fast."""

    @pytest.fixture(params=range(3))
    def architecture(self, space: Space, request: pytest.FixtureRequest) -> Architecture:
        return space.sample(random.Random(request.param))

    @pytest.fixture
    def images(self, space: Space) -> Tensor:
        size = space.largest_input_size_px
        return torch.rand(NUM_IMAGES, 3, size, size, generator=torch.Generator().manual_seed(0))

    @pytest.fixture
    def supernet(self, space: Space) -> Supernet:
        torch.manual_seed(0)
        return Supernet(space)

    @pytest.fixture
    def network(self, space: Space, architecture: Architecture) -> PlanNetwork:
        """A network of the space whose batch norms have seen something."""
        torch.manual_seed(0)
        network = PlanNetwork(space.plan(architecture))
        unsettle(network)
        return network.eval()

    def test_no_two_choices_have_one_name(self, space: Space) -> None:
        assert len({choice.name for choice in space.choices}) == len(space.choices)

    def test_keys_read_back_and_are_names_of_files(self, space: Space) -> None:
        rng = random.Random(0)

        for one in (*space.covering(), *(space.sample(rng) for _ in range(20))):
            assert space.read(one.key) == one
            assert Path(one.key).name == one.key

    def test_what_has_no_effect_does_not_tell_architectures_apart(self, space: Space) -> None:
        rng, named = random.Random(0), dict[str, Architecture]()

        for one in (space.sample(rng) for _ in range(40)):
            assert space.architecture(one.options) == one
            assert named.setdefault(one.key, one) == one

    def test_the_covering_architectures_hold_every_weight_in_full(self, space: Space) -> None:
        rng, largest = random.Random(0), weight_shapes(space, space.covering())

        drawn = weight_shapes(space, (space.sample(rng) for _ in range(20)))
        for name, shape in drawn.items():
            assert all(map(operator.le, shape, largest[name]))

    def test_an_architecture_of_another_space_is_refused(
        self, space: Space, architecture: Architecture
    ) -> None:
        with pytest.raises(BadArgument):
            space.plan(replace(architecture, key="another"))

    def test_samples_reach_every_option(self, space: Space) -> None:
        rng = random.Random(0)
        sizes = [len(choice.options) for choice in space.choices]
        most = max(math.prod(sizes[at] for at in block) for block in space.blocks)
        drawn = [space.sample(rng).options for _ in range(DRAWS_PER_OUTCOME * most)]

        assert [len(set(options)) for options in zip(*drawn, strict=True)] == sizes

    def test_no_architecture_is_smaller_or_larger_than_the_extremes(self, space: Space) -> None:
        rng = random.Random(0)
        others = (*space.covering(), *(space.sample(rng) for _ in range(20)))
        macs = [space.macs(one) for one in others]

        assert space.macs(space.smallest()) <= min(macs)
        assert max(macs) <= space.macs(space.largest())

    def test_the_largest_within_a_budget_is_within_it_and_nearly_all_of_it(
        self, space: Space
    ) -> None:
        least, most = space.macs(space.smallest()), space.macs(space.largest())
        budget = round(math.sqrt(least * most))

        assert budget / 2 < space.macs(space.largest(budget)) <= budget
        assert space.largest(least - 1) == space.largest(least)

    def test_another_length_and_size_make_another_network(self, space: Space) -> None:
        changed = replace(space, embedding_dim=5, input_size_px=space.input_size_px + 8)
        plan = changed.plan(changed.largest())

        with torch.device("meta"):
            embeddings = PlanNetwork(plan).eval()(torch.empty(1, 3, *[plan.input_size_px] * 2))
        assert plan.input_size_px == changed.largest_input_size_px == space.input_size_px + 8
        assert embeddings.shape == (1, 5)

    def test_what_is_counted_is_what_runs_and_what_is_written(
        self, space: Space, network: PlanNetwork, images: Tensor, tmp_path: Path
    ) -> None:
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            network(own_size(images[:1], network))
        export_network(network, tmp_path / "network.onnx")
        written = count_network(tmp_path / "network.onnx")

        assert network.plan.macs == counter.get_total_flops() // 2 == written.macs

    def test_what_is_written_computes_what_runs(
        self, network: PlanNetwork, images: Tensor, tmp_path: Path
    ) -> None:
        export_network(network, tmp_path / "network.onnx")

        with torch.inference_mode():
            expected = network(images[:1]).numpy()
        found = onnx_embedding(tmp_path / "network.onnx", own_size(images[:1], network))
        np.testing.assert_allclose(found, expected, atol=2e-5)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)

    def test_a_path_computes_what_its_extracted_network_does(
        self, supernet: Supernet, architecture: Architecture, images: Tensor
    ) -> None:
        """To the bit, both with the statistics of this batch."""
        with torch.no_grad():
            extracted = supernet.extract(architecture).train()(images)

            assert extracted.equal(supernet(images, architecture))

    def test_a_path_trains_its_own_weights_alone(
        self, supernet: Supernet, space: Space, images: Tensor
    ) -> None:
        architecture = space.smallest()

        supernet(images, architecture)[:, 0].sum().backward()

        used = {f"{step.sharing.weight}.weight" for step in space.plan(architecture).layers}
        assert used == {
            name for name, weight in supernet.named_parameters() if weight.grad is not None
        }


def weight_shapes(
    space: Space, architectures: Iterable[Architecture]
) -> dict[str, tuple[int, ...]]:
    """Return how large each shared weight must be for ``architectures``."""
    found: dict[str, tuple[int, ...]] = {}
    for step in (step for one in architectures for step in space.plan(one).layers):
        shape = step.layer.weight_shape
        found[step.sharing.weight] = tuple(map(max, shape, found.get(step.sharing.weight, shape)))
    return found


def own_size(images: Tensor, network: PlanNetwork) -> Tensor:
    """Return images as large as ``network`` reads them."""
    return resize_images(images, network.plan.input_size_px)


def unsettle(network: nn.Module) -> None:
    """Give every batch norm statistics and factors as if it had been trained."""
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            nn.init.normal_(norm.running_mean, 0, 0.3)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 2.5)  # such that some values pass the 6 of ReLU6
            nn.init.normal_(norm.bias, 0, 0.3)


def onnx_embedding(path: Path, image: Tensor) -> "np.typing.NDArray[np.float32]":
    """Return what ONNX Runtime computes of one image float32 [1, 3, S, S]: float32 [1, D]."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    (found,) = session.run(["embedding"], {"image": image.numpy()})
    return np.asarray(found)
