"""Small made-up images and sources."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def save_picture() -> Callable[..., Path]:
    """Return a function that writes a small picture whose pixels only its seed decides."""

    def save(path: Path, *, seed: int) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return save


@pytest.fixture
def photos(tmp_path: Path, save_picture: Callable[..., Path]) -> Path:
    """Twelve classes of three pictures in class folders."""
    folder = tmp_path / "photos"
    for label in range(12):
        for number in range(3):
            save_picture(folder / f"class{label:02}" / f"{number}.png", seed=10 * label + number)
    return folder
