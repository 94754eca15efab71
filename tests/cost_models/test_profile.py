"""A real network of convolutions, profiled for real, and the arithmetic of rooflines by hand."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cmpc_cost_models.counted import count_network
from cmpc_cost_models.errors import BadArgument, BadNetworkFile, ProfileFailed
from cmpc_cost_models.graph_writer import GraphWriter
from cmpc_cost_models.measured import MeasureSettings
from cmpc_cost_models.measuring.blocks import Blocks
from cmpc_cost_models.measuring.conditions import Conditions
from cmpc_cost_models.profiling.profiler import Profiler, comparison_of
from cmpc_cost_models.profiling.roofline import Bandwidth, Roofline
from cmpc_cost_models.profiling.stopwatch import Call, Run, own_times_us

# How far the sum of all calls and the total without a stopwatch may be apart, each in its fastest
# block. A pair of stamps takes 60 ns, and there are 30 calls in half a millisecond.
TOLERANCE = 0.1


@pytest.fixture(scope="module")
def convolutions(tmp_path_factory, host):
    """Writes six convolutions of 3 x 3 at 28 x 28 x 32, which take nearly all of the time."""
    rng = np.random.default_rng(0)
    writer = GraphWriter("convolutions", (1, 3, 28, 28))
    value, depth = writer.input, 3
    for _ in range(6):
        weight = rng.standard_normal((32, depth, 3, 3), dtype=np.float32) / (3 * depth**0.5)
        value, depth = writer.relu(writer.conv(value, weight, padding=1)), 32
    weight = rng.standard_normal((16, 32), dtype=np.float32)
    path = tmp_path_factory.mktemp("profile") / "convolutions.onnx"
    writer.save(path, writer.dense(writer.global_average_pool(value), weight))
    return path


@pytest.fixture(scope="module")
def profiler(host, cache_dir):
    settings = MeasureSettings(
        num_blocks=60, span_seconds=0.2, block_ms=1.5, warmup_ms=5.0, max_attempts=2
    )
    with Profiler(host, cache_dir=cache_dir, settings=settings) as profiler:
        yield profiler


@pytest.fixture(scope="module")
def profile(profiler, convolutions):
    return profiler.profile(convolutions, rival="onnxruntime")


def test_the_kernels_add_up_to_the_total(profile):
    total_us, sum_us = profile.fastest_us

    assert sum_us == pytest.approx(total_us, rel=TOLERANCE)
    assert sum(profile.parts_us.values()) == pytest.approx(profile.total.value * 1e3)
    assert sum(one.share for one in profile.kernels) == pytest.approx(
        profile.sum_us / (profile.total.value * 1e3)
    )


def test_the_arithmetic_is_that_of_the_graph(profile, convolutions):
    layers = [
        one for one in profile.kernels if "conv" in one.record.kind or "dense" in one.record.kind
    ]

    assert len(layers) == 7
    assert sum(one.record.flops for one in layers) == 2 * count_network(convolutions).macs
    assert layers[1].record.shape == "3x3, 28x28x32 to 28x28x32"
    assert layers[1].record.kind == "convolution + relu"


def test_no_kernel_beats_the_machine(profile):
    convolution = max(profile.kernels, key=lambda one: one.time_us)

    assert convolution.bound_by == "arithmetic"
    assert 0.02 < convolution.roofline_share < 1.2  # a clock may rise after the peak was measured
    assert convolution.gflops < 1.2 * profile.roofline.gflops


def test_nearer_memory_is_faster(profile):
    nearest, *_, farthest = profile.roofline.bandwidths

    assert nearest.num_bytes < farthest.num_bytes
    assert nearest.gb_per_s > farthest.gb_per_s


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Writes a convolution between two operators that have no kernel of ours."""
    nodes = [
        helper.make_node("Softsign", ["x"], ["soft"], name="first"),
        helper.make_node("Conv", ["soft", "weight"], ["features"], pads=[1, 1, 1, 1]),
        helper.make_node("Softsign", ["features"], ["y"], name="last"),
    ]
    weight = numpy_helper.from_array(np.ones((8, 3, 3, 3), np.float32), "weight")
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, depth, 16, 16])
        for name, depth in (("x", 3), ("y", 8))
    ]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path_factory.mktemp("imported") / "imported.onnx"
    onnx.save(model, path)
    return path


def test_a_network_with_imported_operators_is_profiled_and_they_are_named(profiler, imported):
    profile = profiler.profile(imported)

    origins = {one.record.origin for one in profile.kernels}
    assert origins == {"rule", "importer"}
    foreign = [one for one in profile.kernels if one.record.origin == "importer"]
    assert [one.node for one in profile.nodes if one.path == "import"] == ["first", "last"]
    assert len(foreign) >= 2
    assert all(one.time_us > 0 for one in profile.kernels)
    assert "imported" not in {one.record.symbol for one in profile.kernels}
    assert sum(profile.parts_us.values()) == pytest.approx(profile.total.value * 1e3)


def test_a_call_that_makes_others_is_timed_without_them():
    calls = tuple(
        Call(symbol=symbol, parent=parent, shapes=(), num_bytes=0)
        for symbol, parent in (
            ("imported", None),
            ("vm.builtin.a", 0),
            ("loops", 0),
            ("ours", None),
        )
    )
    run = Run(calls, np.array([1, 2, -2, 3, -3, -1, 4, -4]))
    one = np.array([1000, 2000, -3000, 4000, -8000, -10_000, 11_000, -11_500])
    stamps = np.concatenate([one, one + 1000 * np.sign(one)])

    own = own_times_us(stamps, stamps.size, run)

    np.testing.assert_allclose(own, [[4.0, 1.0, 4.0, 0.5]] * 2)
    assert own.sum() == pytest.approx(2 * (9.0 + 0.5))
    with pytest.raises(BadNetworkFile, match="got 7 calls in all"):
        own_times_us(stamps[:-2], stamps.size - 2, run)
    with pytest.raises(BadNetworkFile, match="others than in the first run"):
        own_times_us(-stamps, stamps.size, run)


def test_a_rival_is_timed_in_turn_with_us(profile):
    compared = profile.comparison

    assert compared.rival == "onnxruntime"
    assert compared.ratio_p10 <= compared.ratio <= compared.ratio_p90
    assert 0.01 < compared.ratio < 100


def test_a_ratio_is_the_median_over_pairs_whatever_the_machine_did_between_them():
    blocks = Blocks(
        blocks_ms=[[2.0, 40.0, 3.3], [1.0, 20.0, 1.1]],
        blocks_per_round=1,
        runs_per_block=[1, 1],
        warmup_ms=1.0,
        is_steady=True,
        conditions=Conditions(wall_s=1.0, cpu_share=1.0),
    )

    compared = comparison_of("onnxruntime", blocks)

    assert (compared.ratio, compared.ratio_spread, compared.num_pairs) == (2.0, 0.0, 3)
    assert (compared.ours_ms, compared.rival_ms) == (3.3, 1.1)


def test_the_document_is_json_with_the_same_names_for_every_kernel(profile):
    document = json.loads(json.dumps(profile.to_json()))

    assert {"total", "kernels", "roofline", "comparison", "is_stable"} <= document.keys()
    assert document["comparison"]["ratio"] == profile.comparison.ratio
    for kernel in document["kernels"]:
        assert {"name", "shape", "time_us", "share", "gflops", "roofline_share"} <= kernel.keys()
        assert kernel["schedule_source"] in ("record", "similar", "rule", "importer")


def test_what_fails_says_why(profiler, tmp_path, convolutions):
    with pytest.raises(ProfileFailed, match="can't be read"):
        profiler.profile(tmp_path / "nowhere.onnx")
    with pytest.raises(BadArgument, match="`rival` must be one of onnxruntime"):
        profiler.profile(convolutions, rival="nobody")


def test_a_roof_is_the_lower_of_arithmetic_and_memory():
    near = Bandwidth(num_bytes=1000, gb_per_s=100.0)
    far = Bandwidth(num_bytes=10**6, gb_per_s=10.0)
    roofline = Roofline(gflops=50.0, bandwidths=(near, far), source="measured")

    assert roofline.least_us(flops=100_000, num_bytes=1000) == pytest.approx(2.0)
    assert roofline.bound_by(flops=100_000, num_bytes=1000) == "arithmetic"
    assert roofline.least_us(flops=1000, num_bytes=5000) == pytest.approx(0.5)
    assert roofline.bound_by(flops=1000, num_bytes=5000) == "memory"
    assert roofline.gb_per_s(10**9) == 10.0
    assert Roofline.from_json(roofline.to_json()) == roofline
