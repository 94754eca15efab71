"""Of networks timed together each gets its own latency, and of several attempts the most_stable."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from meters import PretendedSite

from cmpc_base.json_files import read_json
from cmpc_cost_models.compiling.options import CompileOrder
from cmpc_cost_models.models.measured import MeasuredModel
from cmpc_cost_models.records.evidence import Conditions, Fingerprint
from cmpc_cost_models.sites.base import SiteFacts
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.timing.blocks import Blocks
from cmpc_cost_models.timing.settings import MeasureSettings
from cmpc_cost_models.workers.process import Answer

SETTINGS = MeasureSettings(max_attempts=3)


def blocks_of(*latencies_ms, wobble, cpu_share=1.0):
    """What a worker answers: twelve blocks of each network, every other one off by ``wobble``."""
    return Blocks(
        blocks_ms=[[one, one * (1 + wobble)] * 6 for one in latencies_ms],
        blocks_per_round=12,
        runs_per_block=[1] * len(latencies_ms),
        warmup_ms=1.0,
        is_steady=True,
        conditions=Conditions(wall_s=1.0, cpu_share=cpu_share, waiting_share=0.0),
    ).to_json()


def timed(networks, answers, tmp_path, *, settings=SETTINGS, cpus=None, **place):
    """Time networks of these names there; one called ``reference`` is the reference network."""
    site = PretendedSite({"time": lambda _: next(answers)}, **place)
    site.cpus = site.cpus if cpus is None else cpus
    order = CompileOrder(target=find_target("host"), cache_dir=tmp_path)
    meter = MeasuredModel(site, order, settings)
    meter._reference_errors = ["left out"] * 3
    made = {name: compiled(name, tmp_path) for name in networks}
    meter._reference = made.pop("reference", None)
    return meter._time(list(made.values()))


def compiled(name, tmp_path):
    (tmp_path / name).mkdir(exist_ok=True)
    return SimpleNamespace(
        path=tmp_path / name / "library.so",
        sha256=name,
        input_shape=(1, 3, 8, 8),
        num_kernels_by_origin=dict,
        schedules_sha256=None,
    )


@pytest.mark.parametrize("is_remote", [False, True])
def test_each_network_has_its_own_latency_from_the_attempt_with_the_fewest_doubts(
    is_remote, tmp_path
):
    # Loud, quiet, loud; the median of a network is between its two values.
    attempts = iter([blocks_of(1.0, 3.0, wobble=one) for one in (0.4, 0.004, 0.4)])

    found = timed(["one", "two"], attempts, tmp_path, is_remote=is_remote)

    assert [one.cost.value for one in found] == pytest.approx([1.002, 3.006])
    assert [one.cost.artefact_sha256 for one in found] == ["one", "two"]
    assert all(one.is_stable for one in found)
    assert len(list(attempts)) == 1  # a quiet attempt is the last


def test_the_reference_network_is_timed_last_and_is_nobodys_latency(tmp_path):
    attempts = iter([blocks_of(1.0, 3.0, 0.2, wobble=0.0)])

    found = timed(["reference", "one", "two"], attempts, tmp_path)

    assert [one.cost.value for one in found] == [1.0, 3.0]
    kept = {name: read_json(tmp_path / name / "timings.json") for name in ("one", "reference")}
    latencies = {name: one["timings"][0]["latency_ms"] for name, one in kept.items()}
    assert latencies == {"one": 1.0, "reference": 0.2}


def test_where_no_attempt_is_quiet_the_quietest_counts(tmp_path):
    shares = {0.4: 0.5, 0.06: 1.0, 0.8: 0.5}
    attempts = (blocks_of(1.0, wobble=one, cpu_share=share) for one, share in shares.items())

    [found] = timed(["one"], attempts, tmp_path)

    assert found.cost.value == pytest.approx(1.03)
    assert len(found.unstable_reasons) == 1


def test_a_timing_that_fails_is_the_error_of_all_that_were_timed_together(tmp_path):
    found = timed(["one", "two"], iter([Answer(error="time took longer than 1 s")]), tmp_path)

    assert [one.error for one in found] == ["time took longer than 1 s"] * 2
    assert [one.compiled.sha256 for one in found] == ["one", "two"]


BOARD = Fingerprint(cpu_model="0xd08", architecture="aarch64", governor="performance", kernel="6.1")


def told_by(fingerprint):
    return {"facts": SiteFacts(fingerprint=fingerprint, features=frozenset({"asimd"}))}


@pytest.mark.parametrize(
    ("first", "second", "is_comparable"),
    [
        (told_by(BOARD) | {"name": "rpc://a:1"}, told_by(BOARD) | {"name": "rpc://b:1"}, True),
        (told_by(BOARD), told_by(replace(BOARD, kernel="6.2")), True),
        (told_by(BOARD), told_by(replace(BOARD, governor="powersave")), False),
        (told_by(BOARD), told_by(replace(BOARD, cpu_model="0xd03")), False),
        (told_by(BOARD), told_by(replace(BOARD, features_sha256="others")), False),
        (told_by(BOARD), told_by(replace(BOARD, num_cores=2)), False),
        (told_by(BOARD), told_by(replace(BOARD, has_turbo=True)), False),
        ({"name": "rpc://a:1"}, {"name": "rpc://a:1"}, True),
        ({"name": "rpc://a:1"}, {"name": "rpc://b:1"}, False),  # boards that tell nothing
        ({"cpus": (0,)}, {"cpus": (1,)}, False),
        ({}, {"settings": MeasureSettings(max_attempts=3, block_ms=5.0)}, False),
    ],
)
def test_only_timings_of_one_machine_timed_alike_are_held_against_each_other(
    first, second, is_comparable, tmp_path
):
    timed(["one"], iter([blocks_of(1.0, wobble=0.001)]), tmp_path, **first)
    slower = (blocks_of(1.2, wobble=0.001) for _ in range(3))

    [found] = timed(["one"], slower, tmp_path, **second)

    assert found.is_stable != is_comparable
