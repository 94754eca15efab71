"""The roofline against sums done by hand (Williams, Waterman and Patterson, 2009)."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.models.limits import Roofline
from cmpc_cost_models.models.roofline import (
    CALL_CYCLES,
    RooflineModel,
    kernels_of,
    network_seconds,
)
from cmpc_cost_models.plans.maps import Map, View
from cmpc_cost_models.plans.specs import Affine, Concat, MaxPool, Window
from cmpc_cost_models.plans.work import Work, work_of
from cmpc_cost_models.records import Unknown
from cmpc_cost_models.schedules.workload import read_workload
from cmpc_cost_models.targets.table import find_target

BOARD = replace(
    find_target("arm"), clock_ghz=1.0, peak_flops_per_cycle=8, memory_gb_per_s=4.0
)  # 8 GFLOP/s over 4 GB/s: the ridge lies at 2 operations a byte


@pytest.mark.parametrize(
    ("work", "seconds"),
    [
        (Work(flops=8_000_000, num_bytes=4_000), 1e-3),  # bound by arithmetic
        (Work(flops=8_000, num_bytes=4_000_000), 1e-3),  # bound by memory
        (Work(flops=2_000, num_bytes=1_000), 2.5e-7),  # on the ridge both say the same
    ],
)
def test_a_kernel_takes_the_longer_of_its_arithmetic_and_its_traffic(work, seconds):
    assert Roofline.of_target(BOARD).least_us(work) == pytest.approx(seconds * 1e6)


def test_a_network_takes_its_kernels_one_after_the_other_and_the_calls():
    kernels = [Work(flops=8_000_000, num_bytes=0), Work(flops=0, num_bytes=4_000_000)]

    assert network_seconds(kernels, BOARD) == pytest.approx(2e-3 + 2 * CALL_CYCLES / 1e9)


def test_a_prediction_is_in_ms_and_names_the_limits_that_it_stands_on(tiny_network):
    cost = RooflineModel(BOARD).estimate(tiny_network)

    kernels = kernels_of(tiny_network)
    assert (cost.name, cost.unit, cost.source) == ("latency", "ms", "predicted")
    assert cost.value == pytest.approx(1e3 * network_seconds(kernels, BOARD))
    assert cost.evidence.num_kernels == len(kernels)
    assert (cost.evidence.peak_gflops, cost.evidence.memory_gb_per_s) == (8.0, 4.0)


def test_a_view_is_read_for_its_own_channels_and_a_target_written_with_its_border():
    whole = Map(height=4, width=4, channels=8)
    half = View(map=whole, start=0, step=2, channels=4)
    target = Map(height=4, width=4, channels=12, border=1)

    work = work_of(Concat(sources=(half, View.whole(whole)), target=target))

    assert work.num_bytes == 4 * (16 * 4 + 16 * 8 + 36 * 12)
    assert work.flops == 0


def test_a_factor_and_a_shift_of_each_channel_are_read_besides():
    whole = Map(height=4, width=4, channels=8)

    work = work_of(Affine(source=View.whole(whole), target=whole))

    assert work == Work(flops=2 * 128, num_bytes=4 * (128 + 128 + 2 * 8))


def test_the_kernels_of_a_network_do_the_arithmetic_that_its_graph_asks_for(tiny_network):
    kernels = kernels_of(tiny_network)

    # 16 px at stride 2: 8x8 pixels; 3x3x3 and depthwise 3x3 into 8 channels, then 8 to 12
    macs = 64 * 8 * 27 + 64 * 8 * 9 + 8 * 12
    others = sum(work.flops for work in kernels) - 2 * macs
    assert 0 <= others <= 64 * 8 + 12 * 3  # the mean over pixels and the normalisation
    assert all(work.num_bytes > 0 for work in kernels)
    # The dense layer reads 8 numbers, their weights and 12 biases, and writes 12 numbers.
    [dense] = [work for work in kernels if work.flops == 2 * 8 * 12]
    assert dense.num_bytes == 4 * (8 + 8 * 12 + 12 + 12)


def test_the_work_of_the_calls_of_a_compiled_network_adds_up_to_its_roofline(
    tiny_network, host, cache_dir
):
    compiled = compile_network(tiny_network, host, cache_dir=cache_dir)

    called = [Work(flops=one.flops, num_bytes=one.num_bytes) for one in compiled.called_kernels()]
    assert called == list(kernels_of(tiny_network))
    assert network_seconds(called, host) == network_seconds(kernels_of(tiny_network), host)
    assert all(read_workload(one.workload).key == one.workload for one in compiled.kernels)


def test_of_a_network_with_an_operator_that_has_no_kernel_of_ours_nobody_knows_the_time(tmp_path):
    weight = numpy_helper.from_array(np.ones((8, 3, 1, 1), np.float32), "weight")
    nodes = [
        helper.make_node("Conv", ["x", "weight"], ["features"], name="stem"),
        helper.make_node("Softsign", ["features"], ["soft"], name="squash"),
        helper.make_node("Relu", ["soft"], ["y"], name="end"),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, depth, 8, 8])
        for name, depth in (("x", 3), ("y", 8))
    ]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], [weight])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        tmp_path / "net.onnx",
    )

    found = kernels_of(tmp_path / "net.onnx")

    assert isinstance(found, Unknown)
    assert found.reasons == (
        "Softsign 'squash' goes through TVM's importer, whose plain loops have no model",
    )


def test_pooling_reads_its_source_once():
    source = View.whole(Map(height=4, width=4, channels=2))
    window = Window(kernel=(2, 2), strides=(2, 2), pads=(0, 0), dilations=(1, 1))
    pool = MaxPool(source=source, target=Map(height=2, width=2, channels=2), window=window)

    assert work_of(pool).num_bytes == 4 * (32 + 8)
