"""Help lists the names that exist, all of them and no other."""

from typing import get_args

import pytest
from click.testing import CliRunner

from cmpc.cli import command_line, names
from cmpc_search.compatibility.catalogue import METHODS
from cmpc_search.data import SPLITS
from cmpc_search.evaluation.catalogue import PROTOCOLS
from cmpc_search.networks.gallery import GALLERY_NETWORKS
from cmpc_search.space import SPACES
from cmpc_search.study import CostName
from cmpc_search.study.rewards import REWARDS
from cmpc_search.study.samplers.catalogue import SAMPLERS


@pytest.mark.parametrize(
    ("listed", "existing"),
    [
        (names.COSTS, get_args(CostName)),
        (names.GALLERY_NETWORKS, GALLERY_NETWORKS),
        (names.METHODS, METHODS),
        (names.PROTOCOLS, PROTOCOLS),
        (names.REWARDS, REWARDS),
        (names.SAMPLERS, SAMPLERS),
        (names.SPACES, SPACES),
        (names.SPLITS, SPLITS),
    ],
)
def test_an_option_offers_the_names_that_its_registry_holds(listed, existing):
    assert len(listed) == len(set(listed))
    assert set(listed) == set(existing)


@pytest.mark.parametrize(
    ("option", "wrong", "meant"),
    [
        ("--method", "bct-regresion", "bct-regression"),
        ("--space", "smal", "small"),
        ("--sampler", "nsga", "nsga2"),
        ("--reward", "homogenous", "homogeneous"),
        ("--cost", "mac", "macs"),
    ],
)
def test_a_misspelt_name_is_wrong_usage_that_lists_the_names_and_the_nearest(option, wrong, meant):
    result = CliRunner().invoke(command_line, ["search", "run", "--gallery", "g", option, wrong])

    assert result.exit_code == 2
    assert f"'{wrong}' is not one of" in result.stderr
    assert f"Did you mean '{meant}'?" in result.stderr
