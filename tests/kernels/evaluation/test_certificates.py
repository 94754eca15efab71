"""A certificate says why an answer is exact, and whoever has the index can check it."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmpc_kernels import (
    BadArgument,
    BadCertificate,
    Certificate,
    GalleryIndex,
    IndexSettings,
    ShardedIndex,
    certify,
    open_index,
    reference,
)
from cmpc_kernels.evaluation.certifying import upper_bounds
from cmpc_kernels.nearest.codes import encode_binary, encode_int8
from cmpc_kernels.records import Neighbours

ADVERSARIAL = runpy.run_path(str(Path(__file__).parents[1] / "nearest" / "adversarial.py"))
METRICS = ["cosine", "ip", "l2"]
every_metric = pytest.mark.parametrize("metric", METRICS)


@pytest.fixture(params=["file", "folder"])
def build(request, tmp_path):
    """Return a function that stores an index, of which some items are removed again."""

    def build(rows, metric="l2", storage="float32"):
        path = tmp_path / "gallery"
        if request.param == "folder":
            settings = IndexSettings(metric=metric, storage=storage)
            ShardedIndex.build(path, rows, settings, rows_per_shard=150).remove([3, 200])
        else:
            index = GalleryIndex.build(rows, metric, storage=storage)
            index.remove([3, 200])
            index.save(path)
        return path

    return build


@every_metric
@pytest.mark.parametrize("storage", ["float32", "float16"])
@pytest.mark.parametrize("share", [None, 0.4])
def test_an_exact_answer_is_certified_and_the_certificate_holds(
    build, metric, storage, share, rng, tmp_path
):
    rows, queries = rng.standard_normal((400, 24), "f4"), rng.standard_normal((3, 24), "f4")
    path = build(rows, metric, storage)
    index = open_index(path)
    allow = None if share is None else rng.random(len(index)) < share
    found = index.search(queries, 5, allow=allow)

    certify(path, queries, found, allow=allow).save(tmp_path / "why.json")
    certificate = Certificate.load(tmp_path / "why.json")
    certificate.verify(path)

    assert [answer.ids for answer in certificate.answers] == found.ids.tolist()
    for answer in certificate.answers:
        assert 5 <= answer.num_scored < 40  # of some 400: bounds do say something
        assert answer.highest_bound < answer.scores[-1]


@every_metric
def test_bounds_hold_for_rows_of_any_size(metric):
    drawn_rows, drawn_queries = ADVERSARIAL["drawn_rows"], ADVERSARIAL["drawn_queries"]
    for seed in range(200):
        rng = np.random.default_rng(seed)
        rows = drawn_rows(rng, (40, int(rng.integers(1, 70))), np.float32)
        queries = drawn_queries(rng, rows, 3).astype(np.float32)
        for encode in (encode_int8, encode_binary):
            bound_QG = upper_bounds(queries.astype(np.float64), encode(rows, metric=metric))
            assert (bound_QG >= reference.score_matrix(queries, rows, metric)).all(), seed


def test_where_all_items_are_found_there_is_no_bound_of_others(build, rng):
    rows = rng.standard_normal((300, 5), "f4")
    path = build(rows)
    found = open_index(path).search(rows[:1], 299)

    certificate = certify(path, rows[:1], found)
    certificate.verify(path)

    (answer,) = certificate.answers
    assert (answer.num_scored, len(answer.ids), answer.highest_bound) == (298, 298, None)


@pytest.fixture
def certified(build, rng):
    rows = rng.standard_normal((300, 9), "f4")
    path = build(rows)
    return path, certify(path, rows[:2], open_index(path).search(rows[:2], 4))


def next_number(number):
    return float(np.nextafter(number, np.inf))


@pytest.mark.parametrize(
    "change",
    [
        lambda one: {"ids": [one.ids[0], *one.ids[2:], one.ids[1]]},
        lambda one: {"ids": one.ids[:3], "scores": one.scores[:3]},
        lambda one: {"scores": [*one.scores[:3], next_number(one.scores[3])]},
        lambda one: {"query": [next_number(np.float32(one.query[0])), *one.query[1:]]},
        lambda one: {"num_scored": 3},
        lambda one: {"num_scored": 298},
        lambda one: {"highest_bound": one.scores[3]},
        lambda one: {"highest_bound": one.scores[3] - 100},
        lambda one: {"highest_bound": None},
    ],
    ids=range(9),
)
def test_a_certificate_that_was_altered_does_not_hold(certified, change):
    path, certificate = certified
    first, second = certificate.answers

    with pytest.raises(BadCertificate, match="search again"):
        replace(certificate, answers=[first, replace(second, **change(second))]).verify(path)


def test_a_certificate_is_of_one_index_as_it_was(certified):
    path, certificate = certified
    index = open_index(path)
    index.remove([7])
    if isinstance(index, GalleryIndex):
        index.save(path)

    with pytest.raises(BadArgument, match="another or was changed since"):
        certificate.verify(path)


def test_what_is_not_exact_is_not_certified(build, rng, tmp_path):
    rows = rng.standard_normal((300, 9), "f4")
    path = build(rows)
    found = open_index(path).search(rows[:2], 4)
    swapped = Neighbours(scores=found.scores, ids=found.ids[:, [0, 2, 1, 3]])
    GalleryIndex.build(rows, mode="codes").save(tmp_path / "codes")

    for file, queries, answer, said in [
        (path, rows[:2], swapped, "must be the exact one"),
        (path, rows[1:3], found, "must be the exact one"),
        (path, rows[:1], found, "each of the 1 queries"),
        (path, np.full_like(rows[:2], np.nan), found, "finite"),
        (tmp_path / "codes", rows[:2], found, "is in codes mode"),
    ]:
        with pytest.raises(BadArgument, match=said):
            certify(file, queries, answer)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"k": 0},
        {"k": "four"},
        {"more": 1},
        {"answers": 3},
        {"answers": [{"query": [1.0]}]},
        {"answers": [{"query": "?", "ids": [], "scores": [], "num_scored": 0, "highest_bound": 0}]},
    ],
    ids=str,
)
def test_a_file_that_holds_something_else_is_refused(certified, change, tmp_path):
    _, certificate = certified
    certificate.save(tmp_path / "why.json")
    document = json.loads((tmp_path / "why.json").read_text()) | change
    (tmp_path / "why.json").write_text(json.dumps(document))

    with pytest.raises(BadCertificate, match="must be a cmpc search certificate"):
        Certificate.load(tmp_path / "why.json")
