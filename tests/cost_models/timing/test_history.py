"""Timings of one library, remembered from process to process."""

import errno

import pytest

from cmpc_cost_models.records import CompiledNetwork, Cost, Measurement
from cmpc_cost_models.timing.history import (
    NUM_KEPT,
    doubted_by_history,
    doubts_of_history,
    keep_timings,
)


@pytest.fixture
def library(tmp_path):
    path = tmp_path / "network.so"
    path.write_bytes(b"code")
    return path


def timed(measurement, reference=None, *, how="alone"):
    """Compare with what was kept, then keep, as a meter does."""
    [found] = doubted_by_history([measurement], reference, how=how)
    keep_timings([measurement, *([reference] if reference else [])], how=how)
    return found


def measured(library, latency_ms, *, reasons=()):
    compiled = CompiledNetwork(
        path=library,
        sha256="0" * 64,
        graph_sha256="1" * 64,
        from_cache=True,
        compile_seconds=1.0,
        input_shape=(1, 3, 8, 8),
        output_shape=(1, 4),
    )
    cost = Cost(name="latency", value=latency_ms, unit="ms", source="measured")
    return Measurement(
        compiled=compiled, cost=cost, is_stable=not reasons, unstable_reasons=reasons
    )


@pytest.mark.parametrize(
    ("latency_ms", "earlier_ms", "is_doubted"),
    [(1.05, (1.1, 1.0), True), (1.02, (1.0,), False), (0.9, (1.0,), False), (1.0, (), False)],
)
def test_only_what_was_faster_before_is_doubted(latency_ms, earlier_ms, is_doubted):
    assert bool(list(doubts_of_history(latency_ms, earlier_ms))) == is_doubted


def test_a_slow_spell_is_told_from_what_an_earlier_process_measured(library):
    first = timed(measured(library, 1.0), how="alone")
    second = timed(measured(library, 1.07), how="alone")
    other = timed(measured(library, 1.07), how="on another core")

    assert first.is_stable
    assert other.is_stable
    assert not second.is_stable
    assert "gave 1 ms, 1.07 ms is 7.0% more" in second.unstable_reasons[0]


def test_a_slow_reference_network_makes_what_is_timed_with_it_doubtful(library, tmp_path):
    (tmp_path / "reference").mkdir()
    reference = tmp_path / "reference" / "network.so"
    first = timed(measured(library, 1.0), measured(reference, 0.2))
    (tmp_path / "another").mkdir()
    another = tmp_path / "another" / "network.so"
    second = timed(measured(another, 5.0), measured(reference, 0.25))

    assert first.is_stable
    assert not second.is_stable
    assert second.unstable_reasons[0].startswith("of the reference network")


def test_a_machine_that_has_become_slower_for_good_is_believed_again(library):
    timed(measured(library, 1.0))
    later = [timed(measured(library, 1.07)) for _ in range(NUM_KEPT + 1)]

    assert [one.is_stable for one in later] == [False] * NUM_KEPT + [True]


def test_what_a_disturbed_machine_could_do_an_undisturbed_one_can(library):
    timed(measured(library, 1.0, reasons=("disturbed",)))
    later = timed(measured(library, 1.07), how="alone")

    assert not later.is_stable


def test_an_altered_history_is_none(library):
    (library.parent / "timings.json").write_text('[{"how": 3}]')
    one = timed(measured(library, 1.0), how="alone")

    assert one.is_stable


def test_a_cache_that_may_only_be_read_fails_no_measurement(library, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("cmpc_cost_models.timing.history.write_json", refuse)

    assert timed(measured(library, 1.0)).is_stable


def test_to_compare_writes_nothing(library):
    before = sorted(library.parent.iterdir())

    doubted_by_history([measured(library, 1.0)], measured(library, 1.0), how="alone")

    assert sorted(library.parent.iterdir()) == before
