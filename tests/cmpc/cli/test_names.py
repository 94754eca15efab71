"""Help lists the names that exist, all of them and no other."""

from typing import get_args

import pytest
from click.testing import CliRunner

from cmpc.cli import command_line, names
from cmpc.cli.evaluate import evaluate
from cmpc.cli.evidence import evidence
from cmpc.cli.gallery import gallery
from cmpc.cli.search import search
from cmpc_search.compatibility.catalogue import METHODS
from cmpc_search.data import SPLITS
from cmpc_search.evaluation.catalogue import PROTOCOLS
from cmpc_search.networks.gallery.catalogue import GALLERY_NETWORKS
from cmpc_search.space.presets.catalogue import SPACES
from cmpc_search.stages.baselines.catalogue import BASELINES
from cmpc_search.stages.settings import GalleryNetworkWay
from cmpc_search.study.rewards.catalogue import REWARDS
from cmpc_search.study.samplers.catalogue import SAMPLERS
from cmpc_search.study.settings import CostName


@pytest.mark.parametrize(
    ("listed", "existing"),
    [
        (names.COSTS, get_args(CostName)),
        (names.GALLERY_NETWORK_WAYS, get_args(GalleryNetworkWay)),
        (names.SPLITS, SPLITS),
    ],
)
def test_names_that_are_written_down_twice_are_the_same(listed, existing):
    assert listed == existing


@pytest.mark.parametrize(
    ("command", "option", "registry"),
    [
        (search, "--method", METHODS),
        (search, "--reward", REWARDS),
        (search, "--sampler", SAMPLERS),
        (search, "--space", SPACES),
        (gallery.commands["train"], "--network", GALLERY_NETWORKS),
        (evaluate, "--protocol", PROTOCOLS),
        (evidence, "--rows", BASELINES),
    ],
)
def test_help_offers_the_names_of_a_registry(command, option, registry):
    offered = next(one for one in command.params if option in one.opts)

    assert list(offered.type.choices) == list(registry)


@pytest.mark.parametrize(
    ("option", "wrong", "meant"),
    [
        ("--method", "regresion", "regression"),
        ("--method", "bct+cds", "csd"),
        ("--space", "smal", "small"),
        ("--sampler", "nsga", "nsga2"),
        ("--reward", "homogenous", "homogeneous"),
        ("--cost", "mac", "macs"),
    ],
)
def test_a_misspelt_name_is_wrong_usage_that_lists_the_names_and_the_nearest(option, wrong, meant):
    result = CliRunner().invoke(command_line, ["search", "run", "--gallery", "g", option, wrong])

    assert result.exit_code == 2
    assert f"'{wrong.rpartition('+')[2]}' is not one of" in result.stderr
    assert f"Did you mean '{meant}'?" in result.stderr


def test_methods_may_be_added_up():
    offered = next(one for one in search.params if "--method" in one.opts)

    assert offered.type.convert("bct+csd", offered, None) == "bct+csd"
