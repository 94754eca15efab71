"""Of networks timed together each gets its own latency, and of several attempts the most_stable."""

from types import SimpleNamespace

import pytest
from meters import PretendedSite

from cmpc_cost_models.models.measured import LatencyMeter, MeasureSettings
from cmpc_cost_models.records.evidence import Conditions
from cmpc_cost_models.sites.orders import CompileOrder
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.timing.blocks import Blocks
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


def timed(networks, answers, tmp_path, *, is_remote=False):
    """Time networks of these names without a reference network."""
    site = PretendedSite({"time": lambda _: next(answers)}, is_remote=is_remote)
    order = CompileOrder(target=find_target("host"), cache_dir=tmp_path)
    meter = LatencyMeter(site, order, SETTINGS)
    meter._reference_errors = ["left out"] * 3
    made = []
    for name in networks:
        (tmp_path / name).mkdir()
        made.append(
            SimpleNamespace(
                path=tmp_path / name / "library.so",
                sha256=name,
                input_shape=(1, 3, 8, 8),
                num_kernels_by_origin=dict,
                schedules_sha256=None,
            )
        )
    return meter._time(made)


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
