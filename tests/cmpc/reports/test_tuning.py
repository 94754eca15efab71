"""What a user reads of tuning: each workload's numbers, and what all of it brought."""

from types import SimpleNamespace

import pytest

from cmpc.reports.tuning import tuning_sentences, tuning_table
from cmpc_cost_models.plans.maps import Map, View
from cmpc_cost_models.plans.specs import Concat
from cmpc_cost_models.tuning.tuner import TaskReport
from cmpc_search.stages.schedule_tuning import TuneTotals, totals_of


def test_what_tuning_brought_counts_each_kernel_as_often_as_it_is_called():
    reports = [
        TaskReport(
            task=SimpleNamespace(weight=calls),
            schedule=None,
            rule_us=rule_us,
            best_us=best_us,
            spread_us=0.1,
            num_trials=num_trials,
            num_failed=num_failed,
        )
        for calls, rule_us, best_us, num_trials, num_failed in (
            (3, 10.0, 5.0, 4, 1),
            (1, 10.0, 9.0, 2, 0),
            (7, None, None, 1, 1),  # not timed yet
        )
    ]

    found = totals_of(reports)

    assert found == TuneTotals(num_trials=7, num_failed=2, num_tuned=2, rule_us=40.0, best_us=24.0)
    assert list(tuning_sentences(found, waiting_share=0.0)) == [
        "2 workloads are tuned: their kernels take 60% of the time under the rules "
        "(2 of 7 schedules failed)"
    ]
    assert [one.gain for one in reports] == pytest.approx([0.5, 0.1, None])


def test_each_number_of_a_workload_stands_in_its_column():
    source = View.whole(Map(height=4, width=4, channels=2))
    workload = SimpleNamespace(
        spec=Concat(sources=(source, source), target=Map(height=4, width=4, channels=4)), key="k"
    )
    report = TaskReport(
        task=SimpleNamespace(weight=3, workload=workload),
        schedule=None,
        rule_us=10.0,
        best_us=8.0,
        spread_us=0.5,
        num_trials=7,
        num_failed=2,
    )

    table = tuning_table([report])

    shown = {str(column.header): str(next(iter(column.cells))) for column in table.columns}
    assert {name: shown[name] for name in shown if name not in ("kind", "shape")} == {
        "calls": "3",
        "rule us": "10",
        "best us": "8",
        "spread us": "0.5",
        "gain percent": "20",
        "num trials": "7",
        "num failed": "2",
    }


def test_times_taken_beside_other_work_are_said_to_be_too_long():
    nothing = TuneTotals(num_trials=0, num_failed=0, num_tuned=0, rule_us=0.0, best_us=0.0)

    told = list(tuning_sentences(nothing, waiting_share=0.25))

    assert told[0] == "no workload was measured"
    assert told[1].startswith("others used the processor for 25% of the time")
