"""The networks that stand for a space hold every kernel that any of its networks has."""

import random
from dataclasses import replace

import torch

from cmpc_cost_models.graphs.reading import load_graph
from cmpc_cost_models.plans.planner import plan_network
from cmpc_cost_models.schedules.similar import LARGEST_DISTANCE, features_of
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.tuning.tasks import extract_tasks
from cmpc_search.networks.onnx_export import export_network
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.space.presets.shufflenet import ELASTIC
from cmpc_search.stages.covering_networks import export_covering_networks

TARGET = find_target("x86-64-v3")


def features_in(paths):
    return {features_of(one.workload) for one in extract_tasks(paths, TARGET, num_threads=2)}


ONE_SIZE = replace(
    ELASTIC,
    input_size_px=32,
    smaller_inputs_px=(),
    stem_channels=(8,),
    stem_strides=(1,),
    head_channels=(192,),
)


def kernels_of_drawn(space, folder):
    rng, paths = random.Random(0), [folder / f"{number}.onnx" for number in range(4)]
    for path in paths:
        torch.manual_seed(0)
        export_network(PlanNetwork(space.plan(space.sample(rng))).eval(), path)
    return features_in(paths)


def test_no_architecture_has_a_kernel_that_the_covering_ones_lack(tmp_path):
    covered = features_in(export_covering_networks(ONE_SIZE, tmp_path))

    assert not any(tmp_path.iterdir())
    assert kernels_of_drawn(ONE_SIZE, tmp_path) <= covered


def test_where_sizes_are_choices_nearly_all_kernels_are_near_covering_ones(tmp_path):
    covered = features_in(export_covering_networks(ELASTIC, tmp_path))

    drawn = kernels_of_drawn(ELASTIC, tmp_path)
    near = [one for one in drawn if min(map(one.distance, covered)) <= LARGEST_DISTANCE]
    assert len(near) > 0.85 * len(drawn)


def test_every_network_of_the_small_space_runs_on_our_kernels_alone(tmp_path):
    for path in export_covering_networks(ELASTIC, tmp_path):
        assert plan_network(load_graph(path)).num_imported == 0
