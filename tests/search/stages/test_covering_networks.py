"""The networks that stand for a space hold every kernel that any of its networks has."""

import random
from pathlib import Path

import pytest
import torch

from cmpc_cost_models.schedules.similar import features_of
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.tuning.tasks import extract_tasks
from cmpc_search.networks.onnx_export import export_network
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.space.presets.catalogue import load_space
from cmpc_search.stages.covering_networks import export_covering_networks

TARGET = find_target("x86-64-v3")


def features_in(paths):
    return {features_of(one.workload) for one in extract_tasks(paths, TARGET, num_threads=2)}


@pytest.mark.parametrize("name", ["small"])
def test_no_architecture_has_a_kernel_that_the_covering_ones_lack(name, tmp_path):
    space, rng = load_space(name), random.Random(0)
    covered = features_in(export_covering_networks(space, tmp_path))

    for number in range(4):
        path = tmp_path / f"{number}.onnx"
        torch.manual_seed(number)
        export_network(PlanNetwork(space.plan(space.sample(rng))).eval(), path)
        assert features_in([path]) <= covered

    assert sorted(Path(path).name for path in tmp_path.iterdir()) == [f"{n}.onnx" for n in range(4)]
