"""A real network of convolutions, profiled for real, and the arithmetic of rooflines by hand."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from meters import PretendedSite
from onnx import TensorProto, helper, numpy_helper

from cmpc_cost_models.compiling.options import CompileOrder
from cmpc_cost_models.errors import BadArgument, BadNetworkFile, ProfileFailed
from cmpc_cost_models.graphs.counting import count_network
from cmpc_cost_models.graphs.writing import GraphWriter
from cmpc_cost_models.models.limits import Bandwidth, Roofline
from cmpc_cost_models.plans.work import Work
from cmpc_cost_models.profiling.profiler import Profiler, comparison_of
from cmpc_cost_models.profiling.stopwatch import Call, Run, own_times_us
from cmpc_cost_models.records import CompiledNetwork, KernelRecord
from cmpc_cost_models.records.evidence import Conditions
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.timing.blocks import Blocks
from cmpc_cost_models.timing.settings import MeasureSettings

# How far the sum of all calls and the total without a stopwatch may be apart, each in its fastest
# block. A stamp takes 30 ns, and there are 10 calls in half a millisecond.
TOLERANCE = 0.1
ROOFLINE = Roofline(
    gflops=50.0, bandwidths=(Bandwidth(num_bytes=1 << 20, gb_per_s=10.0),), source="measured"
)


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
    with Profiler(CompileOrder(target=host, cache_dir=cache_dir), settings) as profiler:
        yield profiler


@pytest.fixture(scope="module")
def profile(profiler, convolutions):
    return profiler.profile(convolutions, rival="onnxruntime")


def test_the_kernels_add_up_to_the_total(profile):
    total_us, sum_us = profile.fastest_us

    assert profile.executor == "aot"
    assert sum_us == pytest.approx(total_us, rel=TOLERANCE)
    assert sum(profile.parts_us.values()) == pytest.approx(profile.total.value * 1e3)
    assert sum(one.share for one in profile.kernels) == pytest.approx(
        min(1, profile.sum_us / (profile.total.value * 1e3))  # a stopwatch may show
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

    assert profile.executor == "vm"
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
    assert compared.num_pairs >= 3
    # The median of ratios is near the ratio of medians, whichever of the two is faster.
    assert 0.5 < compared.ratio / (compared.ours_ms / compared.rival_ms) < 2


def blocks_of(*blocks_ms):
    return Blocks(
        blocks_ms=list(blocks_ms),
        blocks_per_round=1,
        runs_per_block=[1, 1],
        warmup_ms=1.0,
        is_steady=True,
        conditions=Conditions(wall_s=1.0, cpu_share=1.0),
    )


def test_a_ratio_is_the_median_over_pairs_whatever_the_machine_did_between_them():
    blocks = blocks_of([2.0, 40.0, 3.3], [1.0, 20.0, 1.1])

    compared = comparison_of("onnxruntime", blocks)

    assert (compared.ratio, compared.ratio_spread, compared.num_pairs) == (2.0, 0.0, 3)
    assert (compared.ours_ms, compared.rival_ms) == (3.3, 1.1)
    # The ratios are 2, 2 and 3.
    assert (compared.ratio_p10, compared.ratio_p90) == pytest.approx((2.0, 2.8))


@pytest.mark.parametrize("scale", [0.01, 1, 100])
def test_whether_a_ratio_is_trusted_does_not_depend_on_who_is_faster(scale):
    blocks = blocks_of([scale * one for one in [1.0, 1.06, 0.94] * 20], [1.0] * 60)

    compared = comparison_of("onnxruntime", blocks)

    assert compared.ratio_spread == pytest.approx(0.06 * scale)
    assert compared.is_stable


def answers(total_us):
    """What a worker says of a network of two kernels, timed in five rounds of two blocks."""
    kernels = [
        KernelRecord(symbol=name, kind=name, shape="", flops=flops, origin="rule")
        for name, flops in (("slow", 600_000), ("fast", 100_000))
    ]
    compiled = CompiledNetwork(
        path=Path("network.so"),
        sha256="ab",
        graph_sha256="12",
        from_cache=True,
        compile_seconds=1.0,
        input_shape=(1, 3, 8, 8),
        output_shape=(1, 4),
        kernels=tuple(kernels),
    )
    disturbed = 2 * [500.0]  # the last round, in which everything took longer
    whole_us = 8 * [total_us] + disturbed
    by_calls_us = [97.0, *7 * [98.0], *disturbed]
    calls = [("vm.builtin.alloc", 8 * [6.0]), ("slow", 8 * [60.0]), ("fast", 4 * [29.0, 31.0])]
    blocks = blocks_of(*([us / 1e3 for us in one] for one in (whole_us, by_calls_us)))
    return {
        "compile": compiled.to_json(),
        "check": {"cosine": 1.0, "relative_difference": 0.0},
        "peaks": ROOFLINE.to_json(),
        "profile": {
            "blocks": replace(blocks, blocks_per_round=2).to_json(),
            "calls": [
                {"symbol": name, "parent": None, "shapes": [], "num_bytes": 1000}
                for name, _ in calls
            ],
            "calls_us": [times_us + disturbed for _, times_us in calls],
        },
    }


@pytest.mark.parametrize(
    ("total_us", "shares"),
    [
        (100.0, [0.6, 0.3]),
        (50.0, [60 / 90, 30 / 90]),  # the stopwatch shows: kernels take more than the whole
    ],
)
def test_each_kernel_has_its_own_median_over_the_undisturbed_rounds(total_us, shares):
    order = CompileOrder(target=find_target("host"), cache_dir=Path("cache"))

    profile = Profiler(order, site=PretendedSite(answers(total_us))).profile(Path("net.onnx"))

    slow, fast = profile.kernels
    assert (slow.time_us, slow.spread_us) == (60.0, 0.0)
    assert (fast.time_us, fast.spread_us) == (30.0, 1.0)
    assert [one.share for one in profile.kernels] == pytest.approx(shares)
    assert [one.least_us for one in profile.kernels] == pytest.approx([12.0, 2.0])
    assert profile.total.value == pytest.approx(total_us / 1e3)
    assert (profile.machine_us, profile.sum_us) == (6.0, 90.0)
    assert profile.fastest_us == pytest.approx((total_us, 97.0))


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
    with pytest.raises(BadArgument, match=r"no rival is called .*; choose one of onnxruntime"):
        profiler.profile(convolutions, rival="nobody")


def test_a_roof_is_the_lower_of_arithmetic_and_memory():
    near = Bandwidth(num_bytes=1000, gb_per_s=100.0)
    far = Bandwidth(num_bytes=10**6, gb_per_s=10.0)
    roofline = Roofline(gflops=50.0, bandwidths=(near, far), source="measured")

    assert roofline.least_us(Work(flops=100_000, num_bytes=1000)) == pytest.approx(2.0)
    assert roofline.bound_by(Work(flops=100_000, num_bytes=1000)) == "arithmetic"
    assert roofline.least_us(Work(flops=1000, num_bytes=5000)) == pytest.approx(0.5)
    assert roofline.bound_by(Work(flops=1000, num_bytes=5000)) == "memory"
    assert [roofline.gb_per_s(size) for size in (1000, 1001, 10**9)] == [100.0, 10.0, 10.0]
    assert Roofline.from_json(roofline.to_json()) == roofline
