"""A run knows its data and its gallery by what they are, wherever they and the user are."""

import shutil

import pytest

TRAINING = ["--num-steps", 2, "--control-steps", 0, "--threads", 1]


@pytest.fixture
def home(project, tmp_path, monkeypatch):
    """A folder with data, a gallery and a run, all named as seen from there."""
    shutil.copytree(project.pictures, tmp_path / "photos")
    shutil.copytree(project.gallery, tmp_path / "gallery")
    monkeypatch.chdir(tmp_path)
    words = ["search", "run", "--gallery", "gallery", "--data", "photos", "--trials", 1]
    project.answer(*words, "--cost", "macs", "--threads", 1)
    project.answer("pareto", "run")
    return tmp_path


def test_a_run_is_trained_and_judged_from_any_folder_without_naming_its_parts_again(
    project, home, tmp_path_factory, monkeypatch
):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))

    trained = project.answer("train", home / "run", *TRAINING)
    project.answer("evaluate", home / "run", "--threads", 1)

    assert trained["trained"] == ["seed-0"]


def test_data_and_a_gallery_that_were_moved_are_asked_for_and_known_again(project, home):
    (home / "photos").rename(home / "moved photos")
    (home / "gallery").rename(home / "moved gallery")
    named = ["--data", "moved photos", "--gallery", "moved gallery"]
    search = ["search", "run", "--trials", 1, "--cost", "macs", "--threads", 1]

    lost_data = project.invoke("train", "run", *TRAINING)
    lost_gallery = project.invoke("train", "run", *named[:2], *TRAINING)

    assert (lost_data.exit_code, lost_gallery.exit_code) == (2, 2)
    assert f"must be at {home}/photos" in lost_data.stderr
    assert "say with --data where they are now" in lost_data.stderr
    assert "say with --gallery where it is now" in lost_gallery.stderr
    project.answer("train", "run", *named, *TRAINING)
    project.answer("evaluate", "run", *named, "--threads", 1)
    project.answer(*search, *named)  # it is the same search, and keeps where they are
    project.answer("evaluate", "run", "--threads", 1)


def test_other_data_under_the_name_of_the_runs_data_are_refused(project, home):
    shutil.rmtree(home / "photos" / "shape00")

    result = project.invoke("train", "run", *TRAINING)

    assert result.exit_code in (1, 2)
    assert "bug" not in result.stderr


def test_a_search_without_data_is_on_those_of_its_gallery_and_says_so(project, home):
    words = ["search", "other", "--gallery", "gallery", "--trials", 1, "--cost", "macs"]

    result = project.invoke(*words, "--threads", 1)

    assert result.exit_code == 0, result.stderr
    assert f"searching on the data of the gallery: {project.pictures}" in result.stderr
