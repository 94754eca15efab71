"""An evaluation is stored as it was found, and refused where it is not what was stored."""

import json
import math
from dataclasses import replace

import pytest
from made_up_evaluation import make_evaluation

from cmpc_cost_models import Cost
from cmpc_cost_models.records.evidence import Fingerprint, TimingEvidence
from cmpc_search.errors import BadRun
from cmpc_search.evaluation.statistics import Estimate
from cmpc_search.runs import RunFolder
from cmpc_search.runs.evaluation import (
    Amortised,
    NetworkCost,
    SeedMetrics,
    read_evaluation,
    write_evaluation,
)


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path)


def test_an_evaluation_reads_back_as_it_was_written(run):
    latency = Cost(
        name="latency",
        value=0.5,
        unit="ms",
        source="measured",
        not_observed=("the clock",),
        evidence=TimingEvidence(fingerprint=Fingerprint(cpu_model="a processor"), cpus=(1,)),
    )
    cost = NetworkCost(macs=20, parameters=2, latency=latency, unstable_reasons=("a neighbour",))
    found = make_evaluation(
        query_cost=cost,
        gallery_cost=replace(cost, macs=200),
        amortised=Amortised(queries_per_gallery_image=10.0, macs=36.0),
        protocol="verification",
        metrics=(SeedMetrics(seed=0, paragon={"t": 1}, homogeneous={}, heterogeneous={"t": 0}),),
    )

    write_evaluation(run, found)

    assert read_evaluation(run) == found
    stored = json.loads(run.evaluation_path.read_text())["query_cost"]["latency"]
    assert stored == latency.to_json()  # as in every other file and answer
    assert stored["machine"]["cpu_model"] == "a processor"


def test_a_ratio_without_an_upper_end_reads_back_as_one(run):
    found = make_evaluation()
    endless = Estimate(value=0.5, low=0.1, high=math.inf)
    found = replace(found, judgement=replace(found.judgement, kept_share=endless))

    write_evaluation(run, found)

    assert read_evaluation(run).judgement.kept_share == endless
    assert json.loads(run.evaluation_path.read_text())["kept_share"]["high"] is None


def test_a_run_that_was_not_evaluated_has_no_evaluation(run):
    assert read_evaluation(run) is None


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("schema_version", 1, "schema_version 2, got 1; run `cmpc evaluate"),
        ("query_cost", {"macs": 1}, "query_cost.parameters"),
        ("picks", None, "judgement.seeds"),
        ("test_classes", "hardly any", "seen_classes"),
    ],
)
def test_an_evaluation_of_another_version_or_a_damaged_one_is_refused(run, name, value, said):
    write_evaluation(run, make_evaluation())
    document = json.loads(run.evaluation_path.read_text()) | {name: value}
    run.evaluation_path.write_text(json.dumps(document))

    with pytest.raises(BadRun, match=said):
        read_evaluation(run)


def test_an_evaluation_from_before_flips_and_protocols_were_kept_still_reads(run):
    write_evaluation(run, make_evaluation())
    document = json.loads(run.evaluation_path.read_text())
    for name in ("flips", "protocol", "metrics"):
        del document[name]
    run.evaluation_path.write_text(json.dumps(document))

    found = read_evaluation(run)

    assert (found.protocol, found.metrics, found.judgement.flips) == ("open-set", (), ())
