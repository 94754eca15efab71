"""A search from end to end is worth something: networks that fit find, and one that does not fails.

The pictures are easy and made up, so the floors are far below what comes out and far above chance.
"""

import numpy as np
import pytest
from made_up_project import Project
from PIL import Image

pytestmark = pytest.mark.slow

NUM_CLASSES, IMAGES_PER_CLASS, NUM_PATCHES, SIZE_PX = 90, 6, 3, 32
SETTINGS = {
    "CMPC_GALLERY_TRAINING_CLASSES_PER_BATCH": "16",
    "CMPC_SEARCH_SUPERNET_BATCH_SIZE": "32",
    "CMPC_SEARCH_SUPERNET_NUM_STEPS": "150",
    "CMPC_TRAIN_PICK_BATCH_SIZE": "32",
}


def draw_classes(folder):
    """Draw a class as a grid of colours of its own, with other noise in each picture."""
    rng = np.random.default_rng(0)
    for label in range(NUM_CLASSES):
        colours = rng.integers(0, 256, (NUM_PATCHES, NUM_PATCHES, 3))
        grid = np.kron(colours, np.ones((11, 11, 1)))[:SIZE_PX, :SIZE_PX]
        (folder / f"class{label:02}").mkdir(parents=True)
        for number in range(IMAGES_PER_CLASS):
            pixels = grid + rng.normal(0, 25, grid.shape)
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.save(folder / f"class{label:02}" / f"{number}.png")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What `cmpc evaluate` finds after a short search and training."""
    project = Project(tmp_path_factory.mktemp("floor"))
    run = project.folder / "run"
    draw_classes(project.pictures)
    data, gallery = ["--data", project.pictures], ["gallery", "train", project.gallery]
    lines = [
        [*gallery, *data, "--width", 8, "--depths", "1,1", "--num-steps", 60],
        ["gallery", "embed", project.gallery],
        project.search(run, trials=2),
        ["pareto", run, "--pick", "best"],
        ["train", run, "--num-steps", 400, "--control-steps", 30],
        ["evaluate", run],
    ]
    for words in lines:
        answer = project.answer(
            *words, *(() if "pareto" in words else ("--threads", 1)), **SETTINGS
        )
    return answer


def test_networks_that_fit_find_far_more_than_chance(found):
    paragon = found["mean"]["paragon"]["top1"]["value"]
    heterogeneous = found["mean"]["heterogeneous"]["top1"]["value"]

    assert found["chance_top1"] < 0.05
    assert found["num_queries"] >= 40
    assert paragon > 10 * found["chance_top1"]
    assert heterogeneous > 8 * found["chance_top1"]


def test_a_network_that_never_met_the_gallery_finds_no_more_than_chance(found):
    assert found["chance_check"]["top1"]["value"] < 4 * found["chance_top1"]
