"""A latency that may not be trusted ends a command with exit code 3, after all work is kept."""

import json
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest

from cmpc.cli.publishing import known_or_raise, publish, require_trust, trust_or_raise
from cmpc.errors import UntrustedTiming
from cmpc.reports.base import Report, facts_report
from cmpc.reports.costs import cost_table, unknown_latencies, unstable_latencies, warnings_of
from cmpc.reports.front import front_table, unstable_trials
from cmpc_cost_models import Cost
from cmpc_search.errors import CostUnknown
from cmpc_search.runs.evaluation import NetworkCost
from cmpc_search.runs.finals import Standing
from cmpc_search.study.records import Candidate, CandidateScore

LATENCY = {"name": "latency", "value": 1.5, "unit": "ms", "source": "measured"}


def candidate(number: int, *reasons: str) -> Candidate:
    score = CandidateScore(
        architecture=f"a{number}",
        reward_name="product top1",
        reward=0.5,
        latency=LATENCY,
        unstable_reasons=reasons,
    )
    return Candidate(number=number, score=score)


def test_no_reason_is_no_error():
    trust_or_raise([])
    trust_or_raise(unstable_trials([candidate(1), candidate(2)]))


def test_an_unstable_latency_on_the_front_is_marked_named_and_ends_with_3():
    front = (candidate(1), candidate(7, "the blocks spread by 9%"))
    standing = Standing(candidates=front, contenders=front, front=front, is_measured_together=False)

    with pytest.raises(UntrustedTiming, match=r"trial 7: the blocks spread by 9%") as caught:
        trust_or_raise(unstable_trials(front))

    assert caught.value.exit_code == 3
    [*_, latency] = [
        column._cells for column in front_table(standing).columns if "ms" in column.header
    ]
    assert [str(cell) for cell in latency] == ["1.5", "1.5 *"]


def test_a_cost_that_nobody_knows_ends_with_3_and_does_not_ask_for_a_quiet_machine():
    known_or_raise([])
    with pytest.raises(CostUnknown, match="not known: Softsign 'squash'") as caught:
        known_or_raise(["Softsign 'squash' has no model"])

    assert caught.value.exit_code == 3
    assert "quiet" not in str(caught.value)


def test_an_evaluation_names_the_network_whose_latency_nobody_knows():
    known = NetworkCost(macs=10, parameters=5, latency=None)
    unknown = replace(known, unknown_reasons=("Softsign 'squash' has no model",))
    found = SimpleNamespace(query_cost=known, gallery_cost=unknown)

    assert unknown_latencies(found) == ["the gallery network: Softsign 'squash' has no model"]
    [note] = warnings_of(found)
    assert note == "the latency of the gallery network is not known: Softsign 'squash' has no model"
    assert unstable_latencies(found) == []


@pytest.mark.parametrize("name", ["query", "gallery"])
def test_an_evaluation_marks_and_names_the_network_whose_latency_is_unstable(name):
    latency = Cost(name="latency", value=1.5, unit="ms", source="measured")
    stable = NetworkCost(macs=10, parameters=5, latency=latency)
    unstable = replace(stable, unstable_reasons=("the blocks spread by 9%",))
    costs = {"query_cost": stable, "gallery_cost": stable, f"{name}_cost": unstable}
    ratios = {"macs_ratio": 1, "parameters_ratio": 1, "latency_ratio": 1}
    found = SimpleNamespace(**costs, **ratios, amortised=None)

    assert unstable_latencies(found) == [f"the latency of the {name} network"]
    assert warnings_of(found) == [
        f"the latency of the {name} network is unstable: the blocks spread by 9%"
    ]
    latencies = [str(cell) for cell in cost_table(found).columns[3].cells]
    assert latencies == (["1.5 *", "1.5", "1"] if name == "query" else ["1.5", "1.5 *", "1"])


def test_an_evaluation_names_the_network_that_has_no_latency_and_why():
    whole = NetworkCost(macs=10, parameters=5, latency=None)
    found = SimpleNamespace(query_cost=replace(whole, error="it crashed"), gallery_cost=whole)

    assert warnings_of(found) == ["the query network has no latency: it crashed"]


def test_many_reasons_are_told_in_a_line_that_can_be_read():
    with pytest.raises(UntrustedTiming, match="and 6 more") as caught:
        trust_or_raise(f"trial {number}: noise" for number in range(10))

    assert "trial 9" not in str(caught.value)


def test_a_document_goes_alone_to_programs_and_the_sentences_to_whoever_reads(capsys):
    report = facts_report("index", {"num_items": 3}, contract={"k": 1})
    report = replace(report, tables=report.tables * 2, sentences=("all of it was read",))

    publish(report, as_json=True)
    for_programs = capsys.readouterr()
    publish(report, as_json=False)
    for_people = capsys.readouterr()

    document = json.loads(for_programs.out)
    assert (document["num_items"], document["contract"]) == (3, {"k": 1})
    assert for_people.out.count("num_items") == 2
    assert "contract" not in for_people.out
    assert for_programs.err == for_people.err == "all of it was read\n"


@pytest.mark.parametrize(
    ("why", "error"), [("doubts", UntrustedTiming), ("unknowns", CostUnknown), (None, None)]
)
def test_what_may_not_be_trusted_ends_a_command_whose_report_says_so(why, error):
    report = Report(document={}, **({} if why is None else {why: ("a reason",)}))

    with nullcontext() if error is None else pytest.raises(error, match="a reason"):
        require_trust(report)
