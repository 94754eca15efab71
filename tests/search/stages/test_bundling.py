"""Which network a bundle is made of."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from made_up_evaluation import make_evaluation

from cmpc_base.cache import Cache
from cmpc_base.hashing import file_hash
from cmpc_base.json_files import read_json, write_json
from cmpc_base.progress import Silence
from cmpc_base.trimming import trim
from cmpc_cost_models import Cost, Measurement
from cmpc_cost_models.bundles.opening import open_bundle
from cmpc_cost_models.compiling.entries import find_compiled, keep_compiled
from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.graphs.writing import GraphWriter
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.targets.table import find_target
from cmpc_search.data.images import PREPROCESSING_VERSION
from cmpc_search.data.preprocessing import our_preprocessing
from cmpc_search.embeddings import split_seed_of
from cmpc_search.errors import BadArgument, BadRun
from cmpc_search.runs import write_pick
from cmpc_search.runs.evaluation import NetworkCost, write_evaluation
from cmpc_search.stages import shipping
from cmpc_search.stages.bundling import BundleOrder, build_bundle
from cmpc_search.stages.seeds import Seed
from cmpc_search.stages.trained_picks import PickFacts, pick_of, trained_picks
from cmpc_search.study.records import Candidate, CandidateScore
from cmpc_search.study.settings import Budget


@pytest.fixture
def picked(run, material):
    """The architecture that the run picked."""
    architecture = material.space.smallest()
    score = CandidateScore(architecture=architecture.key, reward_name="product map", reward=0.5)
    candidate = Candidate(number=0, score=score)
    write_pick(run, candidate, how="best", cost="macs", budget=Budget())
    return architecture


def leave_trained(run, architecture, seed, num_steps=100):
    pick = pick_of(run, architecture, Seed(number=seed))
    pick.folder.mkdir(parents=True)
    facts = PickFacts(
        architecture=architecture.key,
        method="bct",
        training={"num_steps": num_steps},
        seed=seed,
        bank_seed=seed,
    )
    write_json(pick.facts_path, facts.to_json())


@pytest.fixture
def host():
    return find_target("host")


def leave_network(run, architecture, seed):
    """Leave a trained pick whose network can be compiled in no time."""
    leave_trained(run, architecture, seed)
    writer = GraphWriter("mean", (1, 3, 8, 8))
    path = pick_of(run, architecture, Seed(number=seed)).onnx_path
    scale = np.full(3, seed + 1, np.float32)
    pixels = writer.affine(writer.input, scale, scale)
    writer.save(path, writer.l2_normalise(writer.global_average_pool(pixels)))
    return path


def latency_of(compiled, source="measured", value=0.125):
    return Cost(
        name="latency",
        value=value,
        unit="ms",
        source=source,
        target="host",
        artefact_sha256=compiled.sha256,
    )


def leave_evaluation(run, cost, doubts=()):
    found = NetworkCost(macs=1, parameters=1, latency=cost, unstable_reasons=tuple(doubts))
    write_evaluation(run, make_evaluation(query_cost=found))


def altered(compiled):
    """Make of a cached library one that today's compiler would not make: a byte longer."""
    compiled.path.write_bytes(compiled.path.read_bytes() + b"\0")
    record_path = compiled.path.parent / "compiled.json"
    record = json.loads(record_path.read_text()) | {"sha256": file_hash(compiled.path)}
    record_path.write_text(json.dumps(record))
    yesterday = compiled.path.parent.with_name("compiled-with-the-schedules-of-yesterday")
    compiled.path.parent.rename(yesterday)
    return record["sha256"]


class FakeMeter:
    """Compiles for real and makes up a latency, or an error."""

    def __init__(self, target, cache_dir, error):
        self.target, self.cache_dir, self.error = target, cache_dir, error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def measure(self, onnx_path):
        if self.error:
            return Measurement(error=self.error)
        compiled = compile_network(onnx_path, self.target, cache_dir=self.cache_dir)
        cost = latency_of(compiled, value=0.5)
        return Measurement(cost=cost, compiled=compiled, unstable_reasons=("a neighbour woke",))


@pytest.fixture
def measure_with(monkeypatch):
    def measure(error=None):
        monkeypatch.setattr(
            shipping,
            "make_meter",
            lambda target, *_, cache_dir, **__: FakeMeter(target, cache_dir, error),
        )

    measure("nobody should have measured")
    return measure


class Told(Silence):
    """Keeps what a user would hear."""

    def __init__(self):
        self.notices = []

    def notice(self, message):
        self.notices.append(message)


def order(tmp_path, **changes):
    return BundleOrder(
        folder=tmp_path / "bundle", cache_dir=tmp_path / "cache", with_runner=False, **changes
    )


@pytest.mark.parametrize("target", ["of the search", "named"])
@pytest.mark.parametrize("place", ["in the cache", "in the run, and the cache was trimmed"])
def test_the_library_that_was_measured_ships_though_another_would_be_compiled_today(
    run, picked, host, tmp_path, measure_with, target, place
):
    path = leave_network(run, picked, 0)
    compiled = compile_network(path, host, cache_dir=tmp_path / "cache")
    cost = latency_of(compiled)
    sha256 = altered(compiled)
    leave_evaluation(run, Cost.from_json(cost.to_json() | {"artefact_sha256": sha256}))
    if place != "in the cache":
        found = find_compiled(Cache(tmp_path / "cache").compiled, sha256, host)
        keep_compiled(found, run.compiled_path)
        trim(Cache(tmp_path / "cache"), to_bytes=0)

    chosen = host if target == "named" else None
    bundle = build_bundle(run, order(tmp_path, target=chosen))
    again = build_bundle(run, order(tmp_path, target=chosen))

    assert bundle.network_sha256 == again.network_sha256 == sha256
    assert bundle.cost.value == 0.125
    assert bundle.preprocessing == our_preprocessing(8)
    assert bundle.preprocessing.version == PREPROCESSING_VERSION
    assert bundle.why_unmeasured is None


@pytest.mark.parametrize("reason", ["no evaluation", "another seed", "file is gone", "predicted"])
def test_what_nobody_measured_is_measured_before_it_ships(
    run, picked, host, tmp_path, measure_with, reason
):
    path, _ = (leave_network(run, picked, seed) for seed in (0, 1))
    measure_with()
    compiled = compile_network(path, host, cache_dir=tmp_path / "cache")
    if reason == "file is gone":
        compiled = replace(compiled, sha256=altered(compiled))
        shutil.rmtree(tmp_path / "cache")
    if reason != "no evaluation":
        source = "predicted" if reason == "predicted" else "measured"
        leave_evaluation(run, latency_of(compiled, source))

    seed = 1 if reason == "another seed" else 0
    told = Told()
    bundle = build_bundle(run, order(tmp_path, seed=seed), told)

    provenance = bundle.manifest["provenance"]
    assert (provenance["seed"], provenance["architecture"]) == (seed, picked.key)
    assert (bundle.cost.value, bundle.cost.source) == (0.5, "measured")
    assert bundle.cost.artefact_sha256 == bundle.network_sha256
    assert bundle.cost_doubts == ("a neighbour woke",)
    assert bundle.why_unmeasured is None
    assert any("or it is gone" in one for one in told.notices) == (reason != "predicted")


@pytest.mark.parametrize(
    ("reason", "told"), [("another seed", "seed 1"), ("other bytes", "for another processor")]
)
def test_another_bundle_stays_and_is_told(run, picked, host, tmp_path, measure_with, reason, told):
    path, _ = (leave_network(run, picked, seed) for seed in (0, 1))
    measure_with()
    there = build_bundle(run, order(tmp_path, seed=1 if reason == "another seed" else 0))
    if reason == "other bytes":
        compiled = compile_network(path, host, cache_dir=tmp_path / "cache")
        measured = latency_of(compiled).to_json() | {"artefact_sha256": altered(compiled)}
        leave_evaluation(run, Cost.from_json(measured))

    with pytest.raises(BadArgument, match=f"{told}.*choose another folder"):
        build_bundle(run, order(tmp_path))

    assert open_bundle(there.folder).network_sha256 == there.network_sha256


def test_where_the_same_bytes_are_compiled_again_their_latency_is_known(
    run, picked, host, tmp_path, measure_with
):
    compiled = compile_network(leave_network(run, picked, 0), host, cache_dir=tmp_path / "cache")
    leave_evaluation(run, latency_of(compiled))
    shutil.rmtree(tmp_path / "cache")

    bundle = build_bundle(run, order(tmp_path))

    assert bundle.network_sha256 == compiled.sha256
    assert bundle.cost.value == 0.125


def test_what_can_not_be_measured_ships_and_says_so(run, picked, tmp_path, measure_with):
    leave_network(run, picked, 0)
    measure_with("time took longer than 120 s")

    bundle = build_bundle(run, order(tmp_path))

    assert bundle.cost is None
    assert "longer than 120 s" in bundle.why_unmeasured


def test_a_bundle_says_how_the_data_were_divided(run, picked, tmp_path, measure_with):
    leave_network(run, picked, 0)
    settings = read_json(run.settings_path)
    settings["inputs"]["split_seed"] = 5
    write_json(run.settings_path, settings)

    bundle = build_bundle(run, order(tmp_path))

    assert split_seed_of(bundle) == 5


def test_the_doubts_of_an_evaluation_go_with_its_latency(run, picked, host, tmp_path, measure_with):
    compiled = compile_network(leave_network(run, picked, 0), host, cache_dir=tmp_path / "cache")
    leave_evaluation(run, latency_of(compiled), doubts=["the machine is busy"])

    assert build_bundle(run, order(tmp_path)).cost_doubts == ("the machine is busy",)


def test_a_seed_that_was_not_trained_is_refused_with_those_that_were(run, picked, tmp_path):
    for seed in (0, 2):
        leave_trained(run, picked, seed)

    with pytest.raises(BadArgument, match=r"one that was trained \(0, 2\), got 1"):
        build_bundle(run, BundleOrder(folder=tmp_path / "bundle", cache_dir=tmp_path, seed=1))


def test_networks_of_an_earlier_pick_are_not_the_pick(run, material, picked):
    leave_trained(run, list(material.space.covering())[-1], 0)

    with pytest.raises(BadRun, match="cmpc train"):
        trained_picks(run, picked)


def test_seeds_come_in_the_order_of_their_numbers(run, picked):
    for seed in (10, 2, 0):
        leave_trained(run, picked, seed)

    assert [pick.seed for pick in trained_picks(run, picked)] == [0, 2, 10]


def test_seeds_of_an_older_training_are_not_mixed_with_those_of_the_newest(run, picked):
    leave_trained(run, picked, seed=1, num_steps=50)
    leave_trained(run, picked, seed=0, num_steps=100)

    assert [pick.seed for pick in trained_picks(run, picked)] == [0]


@pytest.mark.parametrize(
    ("device", "processor"), [("local", "this one"), ("rpc://board:9090", None)]
)
def test_schedules_count_as_tuned_on_the_processor_that_times(
    run, material, picked, host, monkeypatch, device, processor
):
    leave_network(run, picked, 0)
    asked = []
    monkeypatch.setattr(shipping, "cpu_model", lambda: "this one")
    monkeypatch.setattr(shipping, "open_schedules", lambda *found: asked.append(found))
    monkeypatch.setattr(shipping.Shipper, "device", Device.named(device))
    [trained] = trained_picks(run, picked)

    shipping.Shipper(run=run, trained=trained, target=host, cache_dir=material.cache_dir).compiled()

    assert asked == [(Cache(material.cache_dir).schedules, host, processor)]
