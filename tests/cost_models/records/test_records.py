import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmpc_base.errors import BadArgument
from cmpc_cost_models.records import (
    SOURCES,
    CompiledNetwork,
    Cost,
    Interval,
    KernelCall,
    KernelRecord,
    Measurement,
    NodePath,
)
from cmpc_cost_models.records.evidence import (
    Conditions,
    Fingerprint,
    PredictionEvidence,
    TimingEvidence,
    TimingSettings,
)

positive = st.floats(0, 1e300)
conditions = st.builds(
    Conditions, wall_s=positive, cpu_share=st.none() | positive, waiting_share=st.none() | positive
)
settings = st.builds(
    TimingSettings,
    num_blocks=st.integers(3, 100),
    block_ms=positive,
    warmup_ms=positive,
    max_seconds=positive,
)
timings = st.builds(
    TimingEvidence,
    fingerprint=st.builds(Fingerprint, cpu_model=st.none() | st.text(), has_turbo=st.booleans()),
    device=st.none() | st.text(),
    cpus=st.lists(st.integers(0, 255)).map(tuple),
    conditions=st.none() | conditions,
    settings=st.none() | settings,
    disturbed_share=st.none() | positive,
)
predictions = st.builds(
    PredictionEvidence,
    prediction=st.text(),
    num_kernels=st.integers(0, 100),
    peak_gflops=positive,
    memory_gb_per_s=positive,
)
costs = st.builds(
    Cost,
    name=st.text(),
    value=positive,
    unit=st.text(),
    source=st.sampled_from(SOURCES),
    count=st.integers(1, 10**9),
    spread=st.none() | positive,
    p50=st.none() | positive,
    p90=st.none() | positive,
    not_observed=st.lists(st.text()).map(tuple),
    p99=st.none() | positive,
    drift=st.none() | st.floats(-1, 1e300),
    target=st.none() | st.text(),
    interval=st.none() | st.just(Interval(low=0.5, high=2.0, level=0.9)),
    evidence=st.none() | timings | predictions,
    versions=st.dictionaries(st.text(), st.text()),
    artefact_sha256=st.none() | st.text(),
)


@given(costs)
def test_a_cost_comes_back_unchanged_from_json(cost):
    assert Cost.from_json(json.loads(json.dumps(cost.to_json()))) == cost


def test_a_measurement_comes_back_unchanged_from_json():
    compiled = CompiledNetwork(
        path=Path("/somewhere/network.so"),
        sha256="ab",
        graph_sha256="cd",
        from_cache=True,
        compile_seconds=1.5,
        input_shape=(1, 3, 32, 32),
        output_shape=(1, 128),
        num_threads=2,
        executor="aot",
        kernels=(
            KernelRecord(
                symbol="convolution", kind="dense", shape="64 to 128", flops=16384, origin="rule"
            ),
        ),
        calls=(KernelCall(symbol="convolution", made_by="kernel"),) * 2,
        nodes=(NodePath(node="head", operator="Gemm", path="kernel", kernel="convolution"),),
    )
    cost = Cost(name="latency", value=0.5, unit="ms", source="measured", artefact_sha256="ab")
    measurement = Measurement(cost=cost, compiled=compiled, unstable_reasons=("a busy machine",))

    read = Measurement.from_json(json.loads(json.dumps(measurement.to_json())))

    assert read == measurement


def test_a_compiled_network_of_before_there_were_two_ways_needs_the_virtual_machine():
    document = {
        "path": "network.so",
        "sha256": "ab",
        "graph_sha256": "cd",
        "from_cache": True,
        "compile_seconds": 1.5,
        "input_shape": [1, 3, 32, 32],
        "output_shape": [1, 128],
    }

    assert CompiledNetwork.from_json(document).executor == "vm"
    with pytest.raises(BadArgument, match="no executor of a network is called 'magic'"):
        CompiledNetwork.from_json(document | {"executor": "magic"})


@pytest.mark.parametrize(
    "change", [{"source": "guessed"}, {"value": float("nan")}, {"value": -1.0}, {"count": 0}]
)
def test_a_cost_without_sense_is_refused(change):
    values = {"name": "latency", "value": 1.0, "unit": "ms", "source": "measured"}
    with pytest.raises(BadArgument, match=r"must|no source of a cost is called"):
        Cost(**values | change)


COST = {"name": "latency", "value": 1.0, "unit": "ms", "source": "measured"}


@pytest.mark.parametrize(
    "document",
    [
        {"name": "latency"},
        {"nome": "latency"},
        5,
        COST | {"machine": 5},
        COST | {"machine": {"conditions": {"no": "such"}}},
        COST | {"machine": {"prediction": "roofline"}},
        COST | {"interval": {"low": 1.0}},
    ],
)
def test_a_cost_with_missing_or_unknown_fields_is_refused(document):
    with pytest.raises(BadArgument, match="field"):
        Cost.from_json(document)


def test_a_measurement_has_a_cost_an_error_or_reasons_why_it_is_unknown():
    with pytest.raises(BadArgument, match="a cost, an error or reasons"):
        Measurement()


@pytest.mark.parametrize(
    "machine",
    [
        {},
        {"device": "rpc://board:9090", "num_threads": 1, "triple": "aarch64", "governor": None},
        {"cpu_model": "a", "load_average": 0.1, "conditions": {"wall_s": 1.0, "cpu_share": 1.0}},
    ],
)
def test_the_costs_of_older_runs_are_read(machine):
    document = {"name": "latency", "value": 1.0, "unit": "ms", "source": "measured"}

    found = Cost.from_json(document | {"machine": machine})

    assert found.value == 1.0
    told = found.to_json()["machine"]
    kept = {"device", "cpu_model", "num_threads", "governor"} & machine.keys()
    assert {name: told[name] for name in kept} == {name: machine[name] for name in kept}


def test_users_find_the_facts_of_a_timing_beside_each_other():
    evidence = TimingEvidence(
        fingerprint=Fingerprint(cpu_model="a processor"), cpus=(3,), disturbed_share=0.25
    )
    cost = Cost(name="latency", value=1.0, unit="ms", source="measured", evidence=evidence)

    machine = cost.to_json()["machine"]

    assert (machine["cpu_model"], machine["cpus"], machine["disturbed_share"]) == (
        "a processor",
        [3],
        0.25,
    )
    assert machine["fingerprint"] == evidence.fingerprint.key


def test_a_fingerprint_outlives_the_systems_updates_and_no_other_change():
    one = Fingerprint(cpu_model="a", governor="performance", kernel="6.1")

    assert one.key == replace(one, kernel="6.2").key
    assert one.key != replace(one, governor="powersave").key
    assert one.key != replace(one, cpu_model="b").key


@pytest.mark.parametrize("change", [{"low": 3.0}, {"level": 1.0}])
def test_an_interval_without_sense_is_refused(change):
    with pytest.raises(BadArgument, match="must hold"):
        Interval(**{"low": 1.0, "high": 2.0, "level": 0.9} | change)


def test_functions_are_counted_once_and_calls_as_often_as_they_are_made_and_in_order():
    kernels = tuple(
        KernelRecord(symbol=name, kind="dense", shape="8 to 8", flops=128, origin=origin)
        for name, origin in (("one", "rule"), ("two", "record"))
    )
    makers = {"one": "kernel", "two": "kernel", "reshape": "vm"}
    calls = (
        KernelCall(symbol=name, made_by=makers[name])
        for name in ("two", "one", "reshape", "two", "one")
    )
    compiled = CompiledNetwork(
        path=Path("network.so"),
        sha256="ab",
        graph_sha256="cd",
        from_cache=True,
        compile_seconds=1.5,
        input_shape=(1, 8),
        output_shape=(1, 8),
        kernels=kernels,
        calls=tuple(calls),
    )

    assert [one.symbol for one in compiled.called_kernels()] == ["two", "one", "two", "one"]
    assert compiled.num_kernels_by_origin() == {"record": 1, "rule": 1}
