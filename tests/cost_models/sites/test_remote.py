"""A real server and a real tracker of TVM's, on the loopback; and what befalls them."""

import json
import os
import shutil
import signal
import socket
import threading

import pytest
from meters import PretendedSite, meter_on
from rpc_servers import LOOPBACK, free_port, needs_server, server, tracker

from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.compiling.options import CompileOrder
from cmpc_cost_models.errors import BadArgument, DeviceUnreachable
from cmpc_cost_models.models.measured import MeasuredModel
from cmpc_cost_models.records.evidence import Conditions, Fingerprint
from cmpc_cost_models.sites import process as process_module
from cmpc_cost_models.sites import rpc
from cmpc_cost_models.sites.base import NO_FACTS, SiteFacts
from cmpc_cost_models.sites.here import own_facts
from cmpc_cost_models.sites.process import DeviceProcess
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.timing.blocks import Blocks
from cmpc_cost_models.timing.settings import MeasureSettings
from cmpc_cost_models.workers.process import Answer

QUICK = MeasureSettings(num_blocks=6, block_ms=1.0, warmup_ms=5.0, max_attempts=1)


def remote_meter(host: Target, port: int, cache_dir, *, key: str = "", **options) -> MeasuredModel:
    device = Device(kind="rpc", host=LOOPBACK, port=port, key=key)
    return meter_on(device, host, cache_dir, QUICK, **options)


@pytest.mark.slow
@needs_server
def test_a_network_is_measured_on_a_device_until_that_dies(host, cache_dir, write_tiny):
    with server() as (port, process), remote_meter(host, port, cache_dir) as meter:
        first, second = meter.measure_interleaved([write_tiny(0), write_tiny(2)])

        assert first.error is None
        assert second.error is None
        assert first.cost.source == "measured"
        assert 0 < first.cost.value < 100
        assert first.cost.evidence.device == f"rpc://{LOOPBACK}:{port}"
        assert first.cost.p50 > 0
        assert first.cost.artefact_sha256 == first.compiled.sha256 != second.compiled.sha256

        threading.Timer(0.3, os.killpg, (process.pid, signal.SIGKILL)).start()
        with pytest.raises(DeviceUnreachable) as lost:
            measure_for_ever(meter, write_tiny(0))
        assert lost.value.exit_code == 4
        assert str(port) in str(lost.value)


@pytest.mark.slow
@needs_server
def test_a_device_gets_the_verdict_that_this_machine_gets(host, cache_dir, tiny_network, tmp_path):
    with server() as (port, _), remote_meter(host, port, tmp_path) as meter:
        found, again = meter.measure(tiny_network), meter.measure(tiny_network)

    evidence, conditions = found.cost.evidence, found.cost.evidence.conditions
    assert evidence.fingerprint == own_facts().fingerprint  # the server is on this machine
    assert conditions.waiting_share is not None
    assert conditions.others_share is not None
    assert conditions.load_average[0] is not None
    assert conditions.cpu_share is None  # between blocks it waits to be asked
    observed = {"their clock": conditions.clock_mhz, "their temperature": conditions.temperature_c}
    for text, pair in observed.items():
        assert (text in found.cost.not_observed) == (pair == (None, None))
    assert not any("reference network" in one for one in found.cost.not_observed)
    timings = json.loads((again.compiled.path.parent / "timings.json").read_text())["timings"]
    assert [one["latency_ms"] for one in timings] == [found.cost.value, again.cost.value]
    assert evidence.fingerprint.key in timings[0]["how"]


def test_rounds_that_a_device_slowed_down_are_set_aside_as_they_are_here(
    host, cache_dir, tiny_network
):
    fast, slow = [1.0, 1.002, 0.998, 1.0], [1.08, 1.09, 1.08, 1.08]
    blocks = Blocks(
        blocks_ms=[(fast + slow) * 5] * 2,
        blocks_per_round=4,
        runs_per_block=[1, 1],
        warmup_ms=1.0,
        is_steady=True,
        conditions=Conditions(wall_s=1.0),
    )
    compiled = compile_network(tiny_network, host, cache_dir=cache_dir)
    answers = {
        "compile": compiled.to_json(),
        "check": {"cosine": 1.0, "relative_difference": 0.0},
        "time": blocks.to_json(),
    }
    site = PretendedSite(answers, name="rpc://board:9090", is_remote=True)
    order = CompileOrder(target=host, cache_dir=cache_dir)

    found = MeasuredModel(site, order, QUICK).measure(tiny_network)

    assert site.asked == ["compile", "check"] * 2 + ["time"]  # it and the reference network
    assert found.is_stable
    assert found.cost.value == 1.0
    assert (found.cost.count, found.cost.num_set_aside) == (20, 20)
    assert any("whether its processor is the target's" in one for one in found.cost.not_observed)


def measure_for_ever(meter: MeasuredModel, network) -> None:
    for _ in range(1000):
        meter.measure(network)


@needs_server
@pytest.mark.slow
def test_a_wrong_answer_on_a_device_is_a_result_and_the_device_goes_on(host, write_tiny, tmp_path):
    wrong, right = write_tiny(1), write_tiny(0)
    entry = compile_network(wrong, host, cache_dir=tmp_path).path.parent
    other = compile_network(right, host, cache_dir=tmp_path).path.parent
    shutil.rmtree(entry)
    shutil.copytree(other, entry)  # so that the device is sent, and runs, another network

    with server() as (port, _), remote_meter(host, port, tmp_path) as meter:
        found = meter.measure(wrong)

        assert "wrong answer" in found.error
        assert found.cost is None
        assert meter.measure(right).error is None


@needs_server
@pytest.mark.slow
def test_a_server_with_a_key_wants_that_key(host, cache_dir, tiny_network):
    with server("--key", "pi4") as (port, _):
        with remote_meter(host, port, cache_dir, key="pi4") as meter:
            assert meter.measure(tiny_network).error is None
        wrong = remote_meter(host, port, cache_dir, key="pi5")
        with pytest.raises(DeviceUnreachable, match="'pi5'"):
            wrong.__enter__()


@needs_server
@pytest.mark.slow
def test_a_tracker_hands_out_the_boards_with_the_key_and_names_them(host, cache_dir, tiny_network):
    pytest.importorskip("tornado", reason="TVM's tracker needs tornado")
    with tracker() as address, server("--tracker", address, "--key", "pi4"):
        port = int(address.rpartition(":")[2])
        with remote_meter(host, port, cache_dir, key="pi4") as meter:
            assert meter.measure(tiny_network).error is None
        with pytest.raises(DeviceUnreachable, match="it has pi4"):
            remote_meter(host, port, cache_dir, key="pi5").__enter__()


@pytest.mark.slow
def test_an_address_where_nobody_listens_is_told_at_once(host, cache_dir):
    meter = remote_meter(host, free_port(), cache_dir)

    with pytest.raises(DeviceUnreachable, match="rpc_server") as unreachable:
        meter.__enter__()
    assert unreachable.value.exit_code == 4


@pytest.mark.slow
def test_a_peer_that_never_speaks_is_given_up(host, cache_dir, monkeypatch):
    monkeypatch.setattr(process_module, "CONNECT_SECONDS", 1.0)
    with socket.create_server((LOOPBACK, 0)) as silent:
        port = silent.getsockname()[1]
        meter = remote_meter(host, port, cache_dir)

        with pytest.raises(DeviceUnreachable, match="longer than 1 s"):
            meter.__enter__()


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (SiteFacts(fingerprint=Fingerprint(architecture="x86_64")), "that one is x86_64"),
        (
            SiteFacts(fingerprint=Fingerprint(architecture="aarch64"), features=frozenset({"fp"})),
            "lacks asimd",
        ),
    ],
)
def test_a_device_that_can_not_run_the_targets_code_is_refused(
    facts, reason, cache_dir, monkeypatch
):
    meter = remote_meter(find_target("arm"), 1, cache_dir)
    monkeypatch.setattr(meter.site.worker, "ask", lambda *_, **__: Answer(result=facts.to_json()))

    with pytest.raises(BadArgument, match=reason), meter:
        pass


def test_a_device_that_lets_nobody_read_its_files_is_still_a_site(host, monkeypatch):
    monkeypatch.setattr(rpc, "connect", lambda _: object())  # a session that can do nothing

    with rpc.RpcSite(Device(kind="rpc", host=LOOPBACK, port=1), host) as site:
        facts, snapshot = site.facts(), site.observe()

    assert facts == NO_FACTS
    assert snapshot.waited_s is snapshot.clock_mhz is None


def test_after_a_worker_is_replaced_it_is_asked_anew_which_machine_answers(host, monkeypatch):
    """A tracker may hand out another board of the same kind."""
    site = DeviceProcess(Device(kind="rpc", host=LOOPBACK, port=9), host)
    boards = iter([Fingerprint(governor="powersave"), Fingerprint(governor="performance")])
    is_worn = iter([False, False, True, False])

    class Worker:
        is_worn = property(lambda _: next(is_worn))

        def ask(self, request, *, limit_seconds):
            is_facts = request["verb"] == "connect"
            return Answer(result=SiteFacts(fingerprint=next(boards)).to_json() if is_facts else 1)

    site.worker.close()
    monkeypatch.setattr(site, "worker", Worker())
    site.connect()
    told = []
    for _ in range(3):
        site.ask("time", {}, limit_seconds=1.0)
        told.append(site.facts.fingerprint.governor)

    assert told == ["powersave", "powersave", "performance"]
