"""What is kept of a network whose latency was told: the very library, where no trimming reaches."""

from types import SimpleNamespace

import pytest

from cmpc_base.cache import Cache
from cmpc_base.trimming import trim
from cmpc_cost_models import Cost, Measurement
from cmpc_cost_models.compiling.entries import find_compiled
from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.graphs.writing import GraphWriter
from cmpc_cost_models.targets.compilers import linker_for
from cmpc_cost_models.targets.table import find_target
from cmpc_search.stages import costs
from cmpc_search.stages.costs import network_cost


@pytest.fixture
def host():
    target = find_target("host")
    if linker_for(target) is None:
        pytest.skip("compiling needs a C++ compiler to link with")
    return target


def test_the_library_that_was_timed_is_kept_and_outlives_the_cache(host, tmp_path):
    writer = GraphWriter("mean", (1, 3, 8, 8))
    writer.save(tmp_path / "mean.onnx", writer.global_average_pool(writer.input))
    compiled = compile_network(tmp_path / "mean.onnx", host, cache_dir=tmp_path / "cache")
    cost = Cost(name="latency", value=1.0, unit="ms", source="measured")
    meter = SimpleNamespace(measure=lambda _: Measurement(cost=cost, compiled=compiled))

    network_cost(tmp_path / "mean.onnx", meter, kept_in=tmp_path / "run")
    trim(Cache(tmp_path / "cache"), to_bytes=0)

    assert find_compiled(tmp_path / "run", compiled.sha256, host) is not None


def test_runs_share_what_is_compiled_and_how_fast_the_machine_was(host, tmp_path, monkeypatch):
    """Nothing of it is looked for in a run's own folder."""
    ordered = []
    monkeypatch.setattr(costs.meters, "make_meter", lambda order, *_: ordered.append(order))

    costs.make_meter(host, None, cache_dir=tmp_path)

    assert ordered[0].cache_dir == tmp_path
    assert ordered[0].schedules_dir == Cache(tmp_path).schedules
