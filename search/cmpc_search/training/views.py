"""Views are made of images whenever they are asked for, from their numbers alone.

    numbers --> which images, in which style --> pixels --> augmented, some of them mixed

The images may be a memory map that is larger than the memory: only what a batch shows is read.

Shapes: T images that are shown, N views, H pixels a side of an image, S of a view.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmpc_search.data import ImageSet
from cmpc_search.pixels import as_bytes
from cmpc_search.training.augmentation.base import Augmentation
from cmpc_search.training.compute import CPU, Compute
from cmpc_search.training.draws import Draws
from cmpc_search.training.mixing import NO_MIXING, Mixing

__all__ = ["ANY_STYLE", "Pictures", "ViewMaker", "ViewRecipe"]

PIXELS_AT_ONCE = 2**20  # warped at a time: few enough to stay in a processor's cache

ANY_STYLE = -1

# A view draws from streams of its own; each has this many.
STREAMS = 4
CHOICES, OWN, PARTNER, MIXED = range(STREAMS)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Images of several sets, one set after the other, that stay where they are."""

    parts: tuple[npt.NDArray[np.uint8], ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one of them."""
        return self.parts[0].shape[1:]

    def at(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """int64 [N] -> uint8 [N, H, H, 3]"""
        if len(self.parts) == 1:
            return self.parts[0][positions]
        found = np.empty((len(positions), *self.shape), np.uint8)
        ends = np.cumsum([len(part) for part in self.parts])
        part_of = np.searchsorted(ends, positions, side="right")
        for number in np.unique(part_of):
            is_here, part = part_of == number, self.parts[number]
            found[is_here] = part[positions[is_here] - (ends[number] - len(part))]
        return found


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pictures:
    """What views are made of.

    Attributes:
        sources: Each uint8 [M, H, H, 3], most often of memory maps: the images first, then the same
            ones in other styles.
        positions: int64 [T], those that are shown.
    """

    sources: tuple["Rows", ...]
    positions: npt.NDArray[np.int64]

    @classmethod
    def of(cls, image_set: ImageSet, positions: npt.NDArray[np.int64]) -> "Pictures":
        """Return the images at ``positions`` of a set, with the styles that it was loaded with."""
        return cls(sources=_sources([image_set]), positions=positions)

    @classmethod
    def of_all(cls, image_sets: Sequence[ImageSet]) -> "Pictures":
        """Return every image of some sets, one set after the other; one without a style of its own
        is shown in each as in another that it has, or as it is.
        """
        sources = _sources(image_sets)
        return cls(sources=sources, positions=np.arange(len(sources[0])))

    def __len__(self) -> int:
        return len(self.positions)

    def read(self, rows: Tensor, styles: Tensor) -> Tensor:
        """int64 [N], [N] -> uint8 [N, H, H, 3]: images by their place among the T, in a style."""
        positions, wanted = self.positions[rows.numpy()], styles.numpy()
        pixels = np.empty((len(positions), *self.sources[0].shape), np.uint8)
        for style in np.unique(wanted):
            is_here = wanted == style
            pixels[is_here] = self.sources[style].at(positions[is_here])
        return torch.from_numpy(pixels)


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewRecipe:
    """All that decides how a view differs from its image."""

    augmentation: Augmentation
    mixing: Mixing = NO_MIXING
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class ViewMaker:
    """Makes views of pictures at one size."""

    pictures: Pictures
    recipe: ViewRecipe
    size_px: int

    @classmethod
    def of_all(
        cls,
        image_set: ImageSet,
        recipe: ViewRecipe,
        size_px: int,
        further: Sequence[ImageSet] = (),
    ) -> "ViewMaker":
        """Return one that shows every image of a set, then every one of further sets."""
        return cls(Pictures.of_all((image_set, *further)), recipe, size_px)

    def is_mixed(self, numbers: Tensor) -> Tensor:
        """int64 [N] -> bool [N], whether the view of this number shows two images."""
        return self._draws(numbers, CHOICES).happens(self.recipe.mixing.share)

    def make(
        self,
        rows: Tensor,
        numbers: Tensor,
        compute: Compute = CPU,
        *,
        styles: Tensor | None = None,
    ) -> Tensor:
        """Return views of the images at ``rows``, on the device of ``compute``.

        A view is the same, to the last bit, in whatever batch it is made.

        Args:
            rows: int64 [N], positions among the T images.
            numbers: int64 [N], of the views; what is random in them depends on these alone.
            styles: int64 [N], positions among the sources, or ANY_STYLE for one that is drawn.

        Returns:
            uint8 [N, S, S, 3]
        """
        side_px = self.size_px * self.recipe.augmentation.supersampling
        at_once = max(1, PIXELS_AT_ONCE // side_px**2)
        styles = torch.full_like(rows, ANY_STYLE) if styles is None else styles
        each = [torch.split(one, at_once) for one in (rows, numbers, styles)]
        parts = zip(each[0], each[1], each[2], strict=True)
        return torch.cat([self._made(*part, compute) for part in parts])

    def _made(self, rows: Tensor, numbers: Tensor, given: Tensor, compute: Compute) -> Tensor:
        recipe, choices = self.recipe, self._draws(numbers, CHOICES)
        is_mixed = choices.happens(recipe.mixing.share)
        partners = choices.below(len(self.pictures))[is_mixed]
        styles, partner_styles = (self._styles(choices) for _ in range(2))
        styles = torch.where(given == ANY_STYLE, styles, given)
        pixels = self.pictures.read(
            torch.cat((rows, partners)), torch.cat((styles, partner_styles[is_mixed]))
        )
        places = torch.cat((numbers * STREAMS + OWN, numbers[is_mixed] * STREAMS + PARTNER))
        draws = Draws(recipe.seed, compute.place(places))
        images = _planes(pixels.to(draws.device))
        made = recipe.augmentation(images, draws, self.size_px)
        views, others = made[: len(rows)], made[len(rows) :]
        if len(others):
            at = compute.place(is_mixed)
            mixed = self._draws(compute.place(numbers[is_mixed]), MIXED)
            views[at] = recipe.mixing(views[at], others, mixed)
        return as_bytes(views)

    def _styles(self, choices: Draws) -> Tensor:
        """Draw int64 [N], positions among the sources of the pictures."""
        in_style = choices.happens(self.recipe.augmentation.style_share)
        num_styles = len(self.pictures.sources) - 1
        style = choices.below(max(1, num_styles)) + 1
        return style * in_style if num_styles else torch.zeros_like(style)

    def _draws(self, numbers: Tensor, stream: int) -> Draws:
        return Draws(self.recipe.seed, numbers * STREAMS + stream)


def _sources(image_sets: Sequence[ImageSet]) -> tuple[Rows, ...]:
    num_styles = max(len(one.styles) for one in image_sets)
    in_styles = [[one.images, *_styles_of(one, num_styles)] for one in image_sets]
    return tuple(Rows(parts) for parts in zip(*in_styles, strict=True))


def _styles_of(image_set: ImageSet, num_styles: int) -> list[npt.NDArray[np.uint8]]:
    styles = image_set.styles or (image_set.images,)
    return [styles[number % len(styles)] for number in range(num_styles)]


def _planes(pixels: Tensor) -> Tensor:
    """uint8 [N, H, H, 3] -> float32 [N, 3, H, H] in [0, 1], a channel after the other in memory.

    That is how images are warped fastest; networks want them the other way.
    """
    return pixels.permute(0, 3, 1, 2).contiguous().to(torch.float32).div_(255)
