"""Of networks timed together each gets its own latency, and of several attempts the quietest."""

from types import SimpleNamespace

import pytest

from cmpc_cost_models.models.measured import LatencyMeter, MeasureSettings
from cmpc_cost_models.models.remote import RemoteMeter
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.timing.blocks import Blocks
from cmpc_cost_models.timing.conditions import Conditions

SETTINGS = MeasureSettings(max_attempts=3)


def answer(*latencies_ms, wobble):
    """What a worker answers: twelve blocks of each network, every other one off by ``wobble``."""
    blocks = Blocks(
        blocks_ms=[[one, one * (1 + wobble)] * 6 for one in latencies_ms],
        blocks_per_round=12,
        runs_per_block=[1] * len(latencies_ms),
        warmup_ms=1.0,
        is_steady=True,
        conditions=Conditions(wall_s=1.0, cpu_share=1.0, waiting_share=0.0),
    )
    return {"result": blocks.to_json()}


def local_meter(ask):
    meter = LatencyMeter.__new__(LatencyMeter)
    meter.settings, meter._reference_errors = SETTINGS, ["left out"]
    meter._reference_network = lambda: None
    meter._bench = SimpleNamespace(
        ask=lambda *_: ask(),
        loadable=lambda network: {},
        lease=SimpleNamespace(doubts=list),
        target=find_target("host"),
        num_threads=1,
        cpus=(0,),
    )
    return meter


def remote_meter(ask):
    meter = RemoteMeter.__new__(RemoteMeter)
    meter.settings, meter.target, meter._facts = SETTINGS, find_target("host"), {}
    meter.device = Device.named("rpc://board:9090")
    meter._ask_device = lambda *_: ask()
    return meter


@pytest.mark.parametrize("make_meter", [local_meter, remote_meter])
def test_each_network_has_its_own_latency_from_the_attempt_with_the_fewest_doubts(
    make_meter, tmp_path
):
    # Loud, quiet, loud; the median of a network is between its two values.
    attempts = iter(
        [
            answer(1.0, 3.0, wobble=0.4),
            answer(1.0, 3.0, wobble=0.004),
            answer(1.0, 3.0, wobble=0.4),
        ]
    )
    networks = [
        SimpleNamespace(
            path=tmp_path / name / "library.so",
            sha256=name,
            input_shape=(1, 3, 8, 8),
            num_kernels_by_origin=dict,
        )
        for name in ("one", "two")
    ]
    for network in networks:
        network.path.parent.mkdir()

    found = make_meter(lambda: next(attempts))._time(networks)

    assert [one.cost.value for one in found] == pytest.approx([1.002, 3.006])
    assert [one.cost.artefact_sha256 for one in found] == ["one", "two"]
    assert all(one.is_stable for one in found)
    assert len(list(attempts)) == 1  # a quiet attempt is the last


@pytest.mark.parametrize("make_meter", [local_meter, remote_meter])
def test_where_no_attempt_is_quiet_the_quietest_counts(make_meter, tmp_path):
    wobbles = iter([0.4, 0.06, 0.8])
    network = SimpleNamespace(
        path=tmp_path / "library.so", sha256="one", input_shape=(1,), num_kernels_by_origin=dict
    )

    def ask():
        wobble = next(wobbles)
        found = answer(1.0, wobble=wobble)
        found["result"]["conditions"]["cpu_share"] = 1.0 if wobble == 0.06 else 0.5
        return found

    [found] = make_meter(ask)._time([network])

    assert found.cost.value == pytest.approx(1.03)
    assert len(found.unstable_reasons) == 1
