"""A project in a temporary folder, small enough to go from pictures to a bundle in seconds.

A module of its own, so that several test files and killed programs can share it.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image, ImageDraw

from cmpc.cli import command_line
from cmpc.errors import UntrustedTiming

NUM_CLASSES = 24
IMAGES_PER_CLASS = 4
SIZE_PX = 32
UNSTABLE = "marked as unstable"

SMALL_SETTINGS = {
    "CMPC_GALLERY_TRAINING_CLASSES_PER_BATCH": "8",
    "CMPC_SEARCH_FINALISTS": "2",
    "CMPC_SEARCH_FINALIST_BATCH_SIZE": "16",
    "CMPC_SEARCH_FINALIST_NUM_STEPS": "5",
    "CMPC_SEARCH_POPULATION": "4",
    "CMPC_SEARCH_SUPERNET_BATCH_SIZE": "16",
    "CMPC_SEARCH_SUPERNET_NUM_STEPS": "20",
    "CMPC_SEARCH_VIEWS_PER_IMAGE": "4",
    "CMPC_TRAIN_PICK_BATCH_SIZE": "16",
}


@dataclass(frozen=True)
class Project:
    """Where things are, and how commands are run on them."""

    folder: Path

    @property
    def pictures(self) -> Path:
        return self.folder / "pictures"

    @property
    def gallery(self) -> Path:
        return self.folder / "gallery"

    def environment(self, **changes: str) -> dict[str, str]:
        return SMALL_SETTINGS | {"CMPC_CACHE": str(self.folder / "cache")} | changes

    def invoke(self, *arguments: object, **changes: str) -> Result:
        """Run a command in this process."""
        runner = CliRunner(env=self.environment(**changes))
        return runner.invoke(command_line, [str(argument) for argument in arguments])

    def answer(self, *arguments: object, **changes: str) -> dict[str, Any]:
        """Run a command that must succeed and return its JSON document.

        A machine that tests are run on is seldom quiet: a latency may be marked as unstable.
        """
        result = self.invoke(*arguments, "--json", **changes)
        is_marked = result.exit_code == UntrustedTiming.exit_code and UNSTABLE in result.stderr
        assert result.exit_code == 0 or is_marked, result.stderr
        document = json.loads(result.stdout)
        assert document["schema_version"] >= 1
        return document

    def search(self, run: Path, **options: object) -> list[object]:
        """Return a search's command line; counted MACs, so that nothing is compiled."""
        given = {"gallery": self.gallery, "data": self.pictures, "cost": "macs", "threads": 1}
        pairs = [
            (f"--{name.replace('_', '-')}", value) for name, value in (given | options).items()
        ]
        return ["search", run, *(word for pair in pairs for word in pair)]

    def program(self, arguments: list[object]) -> list[str]:
        """Return what starts the same command as a process."""
        return [sys.executable, "-m", "cmpc", *map(str, arguments)]

    def process_environment(self, **changes: str) -> dict[str, str]:
        return os.environ | self.environment(**changes) | {"OMP_NUM_THREADS": "1"}


def make_project(folder: Path) -> Project:
    """Draw the pictures: a shape and a colour for each class, somewhere else in each image."""
    project = Project(folder)
    rng = np.random.default_rng(0)
    for label in range(NUM_CLASSES):
        colour = tuple(int(part) for part in rng.integers(0, 200, 3))
        class_folder = project.pictures / f"shape{label:02}"
        class_folder.mkdir(parents=True)
        for number in range(IMAGES_PER_CLASS):
            image = _drawn(label, colour, rng)
            image.putpixel((number, 0), colour)  # no two are equal: the second would be left out
            image.save(class_folder / f"{number}.png")
    return project


def _drawn(label: int, colour: tuple[int, ...], rng: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (SIZE_PX, SIZE_PX), "white")
    draw = ImageDraw.Draw(image)
    centre = tuple(int(part) for part in rng.integers(12, 20, 2))
    if label % 4 == 0:
        draw.ellipse([centre[0] - 9, centre[1] - 9, centre[0] + 9, centre[1] + 9], fill=colour)
    else:
        draw.regular_polygon((centre, 10), 2 + label % 4 + label // 12, fill=colour)
    return image


def make_gallery(project: Project) -> None:
    """Train the gallery network for a few steps and embed the pictures."""
    words = ["--width", 8, "--depths", "1,1", "--num-steps", 20, "--threads", 1]
    project.answer("gallery", "train", project.gallery, "--data", project.pictures, *words)
    project.answer("gallery", "embed", project.gallery, "--data", project.pictures, "--threads", 1)


def work_done(folder: Path) -> dict[str, int]:
    """Return when each file that takes work to make was written."""
    costly = {".safetensors", ".onnx", ".so", ".index"}
    found = (path for path in sorted(folder.rglob("*")) if path.suffix in costly)
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in found}
