"""What every site promises to whoever checks and times there.

class TestMine(SiteContract):
    target = find_target("host")

    @pytest.fixture
    def site(self):
        return MySite()
"""

from pathlib import Path

import numpy as np
import pytest

from cmpc_base.errors import BadArgument
from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.records import CompiledNetwork
from cmpc_cost_models.records.evidence import TimingSettings
from cmpc_cost_models.sites.agreement import compare, random_image
from cmpc_cost_models.sites.base import Site
from cmpc_cost_models.sites.catalogue import SITES
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.testing.networks import write_small_network
from cmpc_cost_models.timing.blocks import time_in_turn

__all__ = ["SiteContract"]

SETTINGS = TimingSettings(num_blocks=3, block_ms=0.5, warmup_ms=1.0, max_seconds=1.0)


class SiteContract:
    """Subclass it and give a ``site`` fixture, and the target whose code runs there.

    Attributes:
        is_timed: Whether times are taken there; elsewhere it refuses to.
    """

    is_timed = True

    @pytest.fixture
    def target(self) -> Target:
        return find_target("host")

    @pytest.fixture
    def site(self, target: Target) -> Site:
        raise NotImplementedError

    @pytest.fixture
    def onnx_path(self, tmp_path: Path) -> Path:
        return write_small_network(tmp_path / "small.onnx")

    @pytest.fixture
    def compiled(self, target: Target, onnx_path: Path, tmp_path: Path) -> CompiledNetwork:
        return compile_network(onnx_path, target, cache_dir=tmp_path)

    def test_it_is_a_row_of_the_table(self, site: Site) -> None:
        with site:
            assert type(site) in {SITES.load(name) for name in SITES}

    def test_networks_answer_there_as_onnx_runtime_does(
        self, site: Site, compiled: CompiledNetwork, onnx_path: Path
    ) -> None:
        with site:
            network = site.load(compiled.path, compiled.input_shape)
            assert compare(network.run, onnx_path, compiled.input_shape).objection is None

    def test_two_networks_that_are_loaded_keep_apart(
        self, site: Site, compiled: CompiledNetwork
    ) -> None:
        image = random_image(compiled.input_shape)
        with site:
            one, other = (site.load(compiled.path, compiled.input_shape) for _ in range(2))
            first, second, again = one.run(image), other.run(2 * image), one.run(image)

        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, second)

    def test_networks_are_timed_there_or_it_says_why_not(
        self, site: Site, compiled: CompiledNetwork
    ) -> None:
        with site:
            network = site.load(compiled.path, compiled.input_shape)
            if not self.is_timed:
                with pytest.raises(BadArgument, match="nothing may be timed"):
                    network.time_ms(1)
                return
            with site.prepared():
                found = time_in_turn([network.time_ms], SETTINGS, observe=site.observe)
            singles = network.single_ms(3)

        assert all(one > 0 for one in found.blocks_ms[0])
        assert found.conditions.wall_s > 0
        assert len(singles) == 3

    def test_its_facts_come_back_from_json(self, site: Site) -> None:
        with site:
            facts = site.facts()

        assert type(facts).from_json(facts.to_json()) == facts
        assert facts.features is None or facts.fingerprint.cpu_model
