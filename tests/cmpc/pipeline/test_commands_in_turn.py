"""From a folder of pictures to a judged network, with the commands that a user would type."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from made_up_project import IMAGES_PER_CLASS, NUM_CLASSES, SIZE_PX, work_done
from PIL import Image

from cmpc_search.data import load_image_set

TRIALS = 6


def commands(project, run):
    """Return the line of commands after the gallery, each with what it must not do twice."""
    gallery = ["--gallery", project.gallery, "--threads", 1]
    train = ["train", run, *gallery, "--num-steps", 6, "--control-steps", 5, "--seeds", 2]
    return {
        "search": project.search(run, trials=TRIALS),
        "pareto": ["pareto", run, "--picture", project.folder / "front.png"],
        "train": train,
        "evaluate": ["evaluate", run, *gallery],
        "evidence": ["evidence", run, *gallery, "--rows", "mobilenet-v2", "--rows", "independent"],
        "index": ["index", project.gallery, "--data", project.pictures, "--out", run / "g.index"],
    }


@pytest.fixture(scope="module")
def run(project):
    return project.folder / "run"


@pytest.fixture(scope="module")
def answers(project, run):
    """What each command answered the first time."""
    return {name: project.answer(*words) for name, words in commands(project, run).items()}


def test_a_search_scores_as_many_candidates_as_asked_for_and_none_twice(answers, run):
    with (run / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert answers["search"]["counts"]["finished"] == len(rows) == TRIALS
    assert len({row["architecture"] for row in rows}) == TRIALS
    assert {row["latency_ms"] for row in rows} == {""}  # nothing was measured, nothing is claimed


def test_a_search_says_on_how_much_it_judges(answers, project, run):
    result = project.invoke(*commands(project, run)["search"])

    told = answers["search"]["validation"]
    assert told["num_queries"] == told["num_classes"] == 4
    assert "judged on 4 validation classes (4 queries x 4 views, 12 gallery images" in result.stderr
    assert "fewer than 10" in result.stderr


def test_the_front_gains_reward_as_it_costs_more(answers):
    scores = [one["score"] for one in answers["search"]["front"]]

    assert scores
    pairs = [(score["macs"], score["reward"]) for score in scores]
    assert pairs == sorted(pairs)


def test_the_pick_is_the_best_of_the_finalists_and_the_picture_is_drawn(answers, project):
    finalists = answers["pareto"]["finalists"]

    best = max(finalists, key=lambda one: one["trained"]["reward"])
    assert len(finalists) == 2
    assert answers["pareto"]["pick"] == best["number"]
    with Image.open(project.folder / "front.png") as picture:
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 2


def test_training_gives_a_network_for_each_seed_and_a_control(answers, run):
    assert answers["train"]["trained"] == ["seed-0", "seed-1", "control"]
    picks = run / "pick" / answers["train"]["architecture"]
    seeds = [picks / name / "network.onnx" for name in ("seed-0", "seed-1")]
    supernets = [folder / "supernet" / "supernet.safetensors" for folder in (run, run / "seeds/1")]
    assert len({path.read_bytes() for path in seeds}) == 2
    assert len({path.read_bytes() for path in supernets}) == 2


def test_the_evaluation_is_of_the_test_classes_alone(answers, project):
    found = answers["evaluate"]

    image_set = load_image_set(
        project.pictures, size_px=SIZE_PX, cache_dir=project.folder / "cache"
    )
    num_test_classes = image_set.counts()["test"].num_classes
    assert (found["schema_version"], found["test_classes"]) == (2, "unseen")
    assert (found["num_classes"], found["num_excluded"]) == (num_test_classes, 0)
    assert found["num_queries"] + found["num_gallery"] == num_test_classes * IMAGES_PER_CLASS
    assert found["chance_top1"] == pytest.approx(1 / num_test_classes)
    assert [pick["seed"] for pick in found["picks"]] == [0, 1]
    assert found["query_cost"]["latency"] is None
    assert found["chance_check"] not in [pick["heterogeneous"] for pick in found["picks"]]
    ratio = found["gallery_cost"]["macs"] / found["query_cost"]["macs"]
    assert found["macs_ratio"] == pytest.approx(ratio)


def test_an_evaluation_leaves_what_each_query_found_beside_its_means(answers, project, run):
    found = answers["evaluate"]
    image_set = load_image_set(
        project.pictures, size_px=SIZE_PX, cache_dir=project.folder / "cache"
    )
    asking = image_set.select(split="test", role="query")
    means = [pick["heterogeneous"]["top1"]["value"] for pick in found["picks"]]

    with np.load(run / "evaluation.npz", allow_pickle=False) as file:
        np.testing.assert_allclose(file["heterogeneous_top1"].mean(axis=1), means)
        assert file["query_names"].tolist() == [image_set.item_names[one] for one in asking]
        assert len(asking) == found["num_queries"]
    assert json.loads((run / "evaluation.json").read_text()) == found


def test_the_pick_is_held_against_what_is_trained_as_it_was(answers, run):
    found = answers["evidence"]

    names = [row["row"] for row in found["rows"]]
    picks = [pick["heterogeneous"]["top1"]["value"] for pick in answers["evaluate"]["picks"]]
    assert names == ["pick", "paragon", "mobilenet-v2", "independent"]
    assert (found["seeds"], found["num_steps"]) == ([0, 1], 6)
    assert found["rows"][0]["across"]["top1"]["value"] == pytest.approx(np.mean(picks))
    assert len(list((run / "baselines").rglob("network.onnx"))) == 4


def test_the_index_holds_the_gallery_side_alone(answers):
    assert answers["index"]["num_items"] == NUM_CLASSES * (IMAGES_PER_CLASS - 1)


@pytest.mark.parametrize("name", ["search", "pareto", "train", "evaluate", "evidence"])
def test_a_command_that_is_repeated_does_no_work_again(project, run, answers, name):
    before = work_done(project.folder)

    again = project.answer(*commands(project, run)[name])

    assert work_done(project.folder) == before
    assert again == answers[name]


def test_a_gallery_that_is_trained_and_embedded_stays_as_it_is(project):
    before = work_done(project.folder)
    train = ["gallery", "train", project.gallery, "--data", project.pictures, "--threads", 1]

    result = project.invoke(*train, "--width", 8, "--depths", "1,1", "--num-steps", 20)
    project.answer("gallery", "embed", project.gallery, "--data", project.pictures)

    assert "is trained already" in result.stderr
    assert work_done(project.folder) == before


def test_a_gallery_is_not_trained_over_another(project):
    train = ["gallery", "train", project.gallery, "--data", project.pictures, "--threads", 1]

    result = project.invoke(*train, "--width", 8, "--depths", "1,1", "--num-steps", 21)

    assert result.exit_code == 1
    assert "choose another folder" in result.stderr


def test_more_trials_go_on_with_the_same_search(project, run, answers):
    grown = project.folder / "grown"
    project.answer(*project.search(grown, trials=2))
    before = work_done(grown)

    answer = project.answer(*project.search(grown, trials=4))

    assert answer["counts"]["finished"] == 4
    assert before.items() <= work_done(grown).items()


def test_another_setting_is_refused_by_name(project, run, answers):
    result = project.invoke(*project.search(run, trials=TRIALS, seed=1))

    assert result.exit_code == 2
    assert "seed was 0, now 1" in result.stderr


def test_a_missing_gallery_is_told_in_one_line(project):
    result = project.invoke(*project.search(project.folder / "new", gallery=project.folder / "no"))

    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "cmpc gallery train" in result.stderr


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"target": "hots"}, "did you mean 'host'"),
        ({"method": "bct+cds"}, "csd"),
        ({"space": "smal"}, "small"),
        ({"reward": "R3"}, "'product'"),
        ({"data": "emojis"}, "emojis"),
    ],
    ids=str,
)
def test_a_name_that_nobody_knows_ends_a_search_before_it_begins(project, wrong, said):
    new = project.folder / "new"

    result = project.invoke(*project.search(new, **wrong))

    assert result.exit_code == 2
    assert said in result.stderr
    assert not new.exists()


def test_a_budget_below_the_smallest_network_ends_a_search_before_it_begins(project):
    new = project.folder / "new"

    result = project.invoke(*project.search(new, budget_mmacs=0.01))

    assert result.exit_code == 3
    assert not new.exists()


def test_to_look_at_a_front_changes_no_pick_and_another_pick_deletes_no_weights(
    project, run, answers
):
    train = ["train", run, "--threads", 1, "--num-steps", 6, "--control-steps", 5]
    before = work_done(run / "pick")
    numbers = {one["number"] for one in answers["search"]["front"]} - {answers["pareto"]["pick"]}
    other = min(numbers)
    try:
        project.answer(*train, "--pick", other)
        looked = project.invoke("pareto", run)

        assert json.loads((run / "pick.json").read_text())["pick"]["number"] == other
        assert f"the pick is trial {other}" in looked.stderr
        assert f"the best is now trial {answers['pareto']['pick']}" in looked.stderr
        assert before.items() < work_done(run / "pick").items()
    finally:
        project.answer("pareto", run, "--pick", "best")


HOLD = """
import sys, time
from pathlib import Path
from cmpc_base.locks import exclusive
folder = Path(sys.argv[1])
with exclusive(folder / "train.lock", doing="trains"):
    print("held", flush=True)
    time.sleep(1)
    (folder / "released").touch()
"""


def test_a_training_waits_for_the_one_that_is_at_work_in_the_run(project, run, answers):
    words = commands(project, run)["train"]
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"

        project.answer(*words)

        assert (run / "released").exists()


def test_a_pick_within_a_budget_that_nobody_meets_is_refused(project, run, answers):
    before = (run / "pick.json").read_bytes()

    result = project.invoke("pareto", run, "--budget-mmacs", 0.01)

    assert result.exit_code == 3
    assert "must stay within 0.01 MMACs" in result.stderr
    assert (run / "pick.json").read_bytes() == before


def test_a_budget_below_zero_is_wrong_usage(project, run, answers):
    assert project.invoke("pareto", run, "--budget-ms", -1).exit_code == 2


def test_a_run_without_a_trained_pick_says_what_comes_first(project, run, answers):
    bare = project.folder / "bare"
    project.answer(*project.search(bare, trials=1))
    evaluate = ["evaluate", bare, "--gallery", project.gallery, "--threads", 1]

    unpicked = project.invoke(*evaluate)
    project.answer("pareto", bare)
    untrained = project.invoke(*evaluate)

    assert (unpicked.exit_code, untrained.exit_code) == (2, 2)
    assert "run `cmpc pareto`" in unpicked.stderr
    assert "run `cmpc train`" in untrained.stderr
