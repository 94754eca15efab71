"""Every schedule computes the same: on sizes that divide into nothing, with one thread and two."""

import random
from dataclasses import replace
from itertools import islice

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.graphs.writing import GraphWriter
from cmpc_cost_models.plans.maps import Map, View
from cmpc_cost_models.plans.specs import Convolution, Softmax, Window
from cmpc_cost_models.plans.work import work_of
from cmpc_cost_models.schedules.rules import is_valid, rule_schedule, schedule_space
from cmpc_cost_models.schedules.schedule import Schedule
from cmpc_cost_models.schedules.workload import Workload, read_workload
from cmpc_cost_models.sites.loaded import LoadedNetwork
from cmpc_cost_models.targets.table import find_target


class SampledSchedules:
    """Draws each kernel's schedule from its space, and remembers what it drew."""

    def __init__(self, seed):
        self.drawn = []
        self._seed = seed
        self._random = random.Random(seed)

    def find(self, workload):
        schedule = self._random.choice(list(schedule_space(workload)))
        self.drawn.append(schedule)
        return schedule, "record"

    def state_sha256(self):
        return str(self._seed)


@pytest.fixture(scope="module")
def odd_convolutions(tmp_path_factory):
    """Each kind of convolution, on sizes that divide into nothing."""
    rng = np.random.default_rng(0)

    def weight(*shape):
        return rng.standard_normal(shape, dtype=np.float32) / np.float32(
            np.sqrt(np.prod(shape[1:]))
        )

    writer = GraphWriter("odd", (1, 3, 21, 21))
    x = writer.relu(writer.conv(writer.input, weight(36, 3, 3, 3), padding=1, stride=2))
    x = writer.conv(x, weight(36, 1, 5, 5), padding=2, groups=36)
    y = writer.relu(writer.conv(x, weight(36, 36, 3, 3), weight(36, 1)[:, 0], padding=1))
    x = writer.add(y, x)
    y = writer.clip(writer.conv(x, weight(54, 18, 3, 3), padding=1, groups=2), -0.5, 0.5)
    x = writer.conv(writer.concat([x, y]), weight(33, 90, 1, 1), weight(33, 1)[:, 0])
    path = tmp_path_factory.mktemp("odd") / "odd.onnx"
    writer.save(path, writer.dense(writer.global_average_pool(x), weight(19, 33)))
    return path


def image_for(compiled):
    return np.random.default_rng(3).random(compiled.input_shape, dtype=np.float32)


def answer_of(compiled):
    return LoadedNetwork(compiled.path, compiled.input_shape).run(image_for(compiled))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["x86-64-v3", "x86-64-v4", "cortex-a72"])
def test_any_schedule_of_the_space_computes_what_onnx_runtime_computes(
    name, seed, odd_convolutions, cache_dir, runner_of
):
    target = find_target(name)
    run = runner_of(target)
    schedules = SampledSchedules(seed)

    compiled = compile_network(
        odd_convolutions, target, cache_dir=cache_dir, num_threads=2, schedules=schedules
    )

    assert len(set(schedules.drawn)) > 4
    session = onnxruntime.InferenceSession(odd_convolutions, providers=["CPUExecutionProvider"])
    [expected] = session.run(None, {session.get_inputs()[0].name: image_for(compiled)})
    answer = run(compiled, image_for(compiled)).reshape(expected.shape)
    np.testing.assert_allclose(answer, expected, atol=2e-5 * np.abs(expected).max())


def test_two_threads_compute_exactly_what_one_does(host, cache_dir, tmp_path):
    weight = np.random.default_rng(0).standard_normal((70, 3, 3, 3), dtype=np.float32)
    writer = GraphWriter("wide", (1, 3, 57, 57))
    x = writer.relu(writer.conv(writer.input, weight, padding=1))
    writer.save(tmp_path / "wide.onnx", writer.global_average_pool(x))

    one, two = (
        compile_network(tmp_path / "wide.onnx", host, cache_dir=cache_dir, num_threads=number)
        for number in (1, 2)
    )

    launches = [b"TVMBackendParallelLaunch" in path.read_bytes() for path in (one.path, two.path)]
    assert launches == [False, True]
    np.testing.assert_array_equal(answer_of(two), answer_of(one))


def test_threads_and_the_state_of_the_schedules_are_part_of_the_cache_key(
    tiny_network, host, cache_dir
):
    ways = [
        {},
        {"num_threads": 2},
        {"schedules": SampledSchedules(0)},
        {"schedules": SampledSchedules(1)},
    ]

    entries = [compile_network(tiny_network, host, cache_dir=cache_dir, **way) for way in ways]

    assert len({entry.path for entry in entries}) == len(ways)


sizes = st.integers(1, 70)


@st.composite
def workloads(draw):
    groups = draw(st.sampled_from([1, 1, 2, 5]))
    depth, out = draw(sizes), draw(sizes)
    is_depthwise = draw(st.booleans())
    channels = depth if is_depthwise else depth * groups
    source = Map(height=draw(sizes), width=draw(sizes), channels=channels, border=1)
    target = Map(
        height=source.height,
        width=source.width,
        channels=channels if is_depthwise else out * groups,
    )
    spec = Convolution(
        source=View.whole(source),
        target=target,
        window=Window(kernel=(3, 3), pads=(1, 1)),
        groups=channels if is_depthwise else groups,
    )
    bits = draw(st.sampled_from([128, 256, 512]))
    return Workload(spec=spec, cpu="any", vector_bits=bits, num_threads=draw(st.integers(1, 2)))


@given(workload=workloads())
def test_the_space_starts_with_the_rule_and_holds_valid_schedules_once(workload):
    space = list(islice(schedule_space(workload), 200))

    assert space[0] == rule_schedule(workload)
    assert all(is_valid(one, workload) for one in space)
    assert len(set(space)) == len(space)
    assert [Schedule.from_json(one.to_json()) for one in space] == space


@given(one=workloads(), other=workloads())
def test_a_key_names_one_workload(one, other):
    assert (one.key == other.key) == (one == other)


def test_a_record_with_an_unknown_field_is_refused():
    with pytest.raises(BadArgument, match="no field \\['tiles'\\]"):
        Schedule.from_json({"tiles": 3})


def test_a_key_names_the_type_of_numbers_only_where_it_is_another_than_float32():
    target = Map(height=4, width=4, channels=8)
    plain, other = (
        Workload.of(Softmax(source=View.whole(one), target=one), find_target("arm"))
        for one in (target, replace(target, dtype="int8"))
    )

    assert "dtype" not in plain.key
    assert read_workload(other.key) == other != plain
    assert (plain.vector_numbers, other.vector_numbers) == (4, 16)
    assert work_of(plain.spec).num_bytes == 4 * work_of(other.spec).num_bytes
