"""Settings are checked where they come in, and give what the stages read."""

import tomllib

import pytest
import torch
from pydantic import ValidationError

from cmpc_base.errors import BadArgument
from cmpc_search.errors import BadRun
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.runs import open_run
from cmpc_search.stages.settings import GallerySettings, SearchSettings, as_of_today


@pytest.mark.parametrize(
    "wrong",
    [
        {"trials": 0},
        {"population": 1},
        {"mixed_share": 1.5},
        {"budget_ms": 0},
        {"budget_mmacs": -1},
        {"reward": "R3"},
        {"cost": "energy"},
        {"metric": "top5"},
        {"sampler": "cmaes"},
        {"seed": -1},
        {"seed": 2**64},
        {"budget_mmacs": float("inf")},
        {"supernet": {"learning_rate": float("inf")}},
        {"supernet": {"learning_rate": 1e300}},
        {"trails": 10},
        {"supernet": {"num_steps": 0}},
        {"supernet": {"steps": 10}},
    ],
    ids=str,
)
def test_a_search_setting_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        SearchSettings.model_validate(wrong)


def test_a_budget_in_million_macs_is_a_whole_number_of_macs():
    settings = SearchSettings(budget_mmacs=2.6, budget_ms=0.4)

    assert settings.budget.macs == 2_600_000
    assert settings.study.budget.latency_ms == 0.4


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, True), ({"cost": "macs"}, False), ({"cost": "macs", "budget_ms": 1.0}, True)],
    ids=str,
)
def test_networks_are_timed_when_the_cost_or_the_budget_asks_for_it(given, expected):
    assert SearchSettings.model_validate(given).needs_latency is expected


@pytest.mark.parametrize(
    ("given", "style_share"),
    [({"max_scale": 1.3}, 0.3), ({"style_share": 0.0}, 0.0), ({"kind": "photo"}, 0.0)],
    ids=str,
)
def test_what_is_set_of_how_gallery_images_differ_leaves_the_rest_as_it_is(given, style_share):
    settings = GallerySettings.model_validate({"augmentation": given})

    assert settings.augmentation.style_share == style_share


@pytest.mark.parametrize("wrong", [{"csd.weight": 2}, {"scale": 8}], ids=str)
def test_settings_of_no_part_of_a_method_are_told_how_they_are_written(wrong):
    with pytest.raises(ValidationError, match=r"no quotes, such as csd\.temperature = 0\.05"):
        SearchSettings.model_validate({"method_settings": wrong})


def test_settings_of_the_parts_of_a_method_are_numbers_and_words():
    (document,) = tomllib.loads("""
        [search.method_settings]
        csd.neighbours = 64
        csd.temperature = 0.05
        regression.distance = "l2"
    """).values()

    found = SearchSettings.model_validate(document).method_settings

    assert found == {
        "csd": {"neighbours": 64, "temperature": 0.05},
        "regression": {"distance": "l2"},
    }


def test_what_was_written_down_is_read_back():
    settings = SearchSettings.model_validate({"supernet": {"num_steps": 7}, "seed": 3})

    assert SearchSettings.model_validate(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize("depths", ["2,x", "", "2,,2", "-1"])
def test_depths_that_are_no_numbers_are_refused(depths):
    with pytest.raises(ValidationError, match="depths"):
        GallerySettings(depths=depths)


@pytest.mark.parametrize(
    "wrong",
    [{"seed": 10**30}, {"split_seed": 2**63}, {"width": 10**9}, {"input_size_px": 10**9}],
    ids=str,
)
def test_a_gallery_setting_beyond_what_libraries_take_is_refused(wrong):
    with pytest.raises(ValidationError):
        GallerySettings.model_validate(wrong)


def test_a_gallery_takes_its_preset_unless_told_otherwise():
    preset = GallerySettings(network="resnet18").shape
    changed = GallerySettings(network="resnet18", depths="1, 2", width=8, input_size_px=40).shape

    assert (preset.depths, preset.width, preset.input_size_px) == ((2, 2, 2, 2), 64, 224)
    assert (changed.depths, changed.width, changed.input_size_px) == ((1, 2), 8, 40)


def test_a_path_is_kept_such_that_it_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "emoji"):
        (tmp_path / name).mkdir()

    def kept(data):
        return SearchSettings(data=data).data, GallerySettings(data=data).data

    assert kept("photos") == kept("./photos") == (str(tmp_path / "photos"),) * 2
    assert kept("emoji") == ("emoji", "emoji")  # the data set of this name, not the folder
    assert kept("./emoji") == (str(tmp_path / "emoji"),) * 2
    assert kept("nowhere") == ("nowhere", "nowhere")


def test_a_run_is_known_by_what_its_settings_mean(tmp_path):
    def opened(**settings):
        named = {"target": "host", "budget_ms": 2.0} | settings
        return open_run(tmp_path / "run", settings=named, inputs={}, meaning=as_of_today)

    opened(target="arm", budget_ms=2)
    given = SearchSettings(target="arm", budget_ms=2)
    with pytest.raises(BadRun, match='target was "cortex-a72", now "host"'):
        opened(target="host")

    again = opened(target=given.target, budget_ms=given.budget_ms)

    assert again.settings["target"] == "cortex-a72"


@pytest.mark.parametrize("settings", [GallerySettings, SearchSettings])
def test_named_sets_of_photographs_are_varied_as_such_unless_another_kind_is_set(settings):
    kinds = {
        data: settings(data=data).augmentation.kind
        for data in ("emoji", "fashion-mnist", "grocery", "inshop", "photos.csv")
    }

    assert [data for data, kind in kinds.items() if kind == "photo"] == ["grocery", "inshop"]
    drawn = settings.model_validate({"data": "grocery", "augmentation": {"kind": "drawing"}})
    assert drawn.augmentation.kind == "drawing"
    assert settings.model_validate(drawn.model_dump(mode="json")) == drawn


def test_a_student_reads_what_the_gallery_network_reads_and_embeds_as_long():
    settings = GallerySettings(
        student="small:c4-d1-k3w0.2-x-d1-xcw0.2-x-d1-xcw0.2-x-h60",
        input_size_px=48,
        embedding_dim=32,
    )

    plan = settings.student_plan

    assert plan is not None
    assert plan.input_size_px == 48
    assert PlanNetwork(plan)(torch.zeros(2, 3, 48, 48)).shape == (2, 32)
    assert GallerySettings().student_plan is None


@pytest.mark.parametrize(
    ("student", "told"),
    [
        ("smal:c4", "did you mean 'small'"),
        ("small", "must have 11 words"),
        ("small:c4", "got 1 in"),
    ],
)
def test_a_student_that_there_is_not_is_told(student, told):
    with pytest.raises(BadArgument, match=told):
        _ = GallerySettings(student=student).student_plan
