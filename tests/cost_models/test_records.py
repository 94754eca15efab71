import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmpc_base.errors import BadArgument
from cmpc_cost_models.records import (
    SOURCES,
    CompiledNetwork,
    Cost,
    KernelCall,
    KernelRecord,
    Measurement,
    NodePath,
)

positive = st.floats(0, 1e300)
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
    machine=st.dictionaries(st.text(), st.none() | st.booleans() | positive | st.text()),
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


@pytest.mark.parametrize(
    "change", [{"source": "guessed"}, {"value": float("nan")}, {"value": -1.0}, {"count": 0}]
)
def test_a_cost_without_sense_is_refused(change):
    values = {"name": "latency", "value": 1.0, "unit": "ms", "source": "measured"}
    with pytest.raises(BadArgument, match=r"must|no source of a cost is called"):
        Cost(**values | change)


@pytest.mark.parametrize("document", [{"name": "latency"}, {"nome": "latency"}])
def test_a_cost_with_missing_or_unknown_fields_is_refused(document):
    with pytest.raises(BadArgument, match="field"):
        Cost.from_json(document)


def test_a_measurement_has_a_cost_an_error_or_reasons_why_it_is_unknown():
    with pytest.raises(BadArgument, match="a cost, an error or reasons"):
        Measurement()
