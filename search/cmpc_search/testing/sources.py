"""What every source of pictures promises.

class TestMine(SourceContract):
    @pytest.fixture
    def make_source(self, tmp_path):
        return lambda: Mine(tmp_path)
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from cmpc_search.data.image_set import ROLES, SPLITS
from cmpc_search.data.sources.base import Picture, Source
from cmpc_search.data.text import normalised_text

__all__ = ["SourceContract"]

MakeSource = Callable[[], Source]

SIZES_PX = (8, 13)


def known(picture: Picture) -> tuple[str | None, ...]:
    """Return all that a picture says of itself without being read."""
    return (
        picture.item_name,
        picture.class_name,
        picture.class_key,
        picture.role,
        picture.split,
        picture.group,
    )


class SourceContract:
    """Subclass it and give a ``make_source`` fixture: it makes the source anew at each call."""

    @pytest.fixture
    def source(self, make_source: MakeSource) -> Source:
        return make_source()

    @pytest.fixture
    def pictures(self, source: Source) -> Sequence[Picture]:
        return source.pictures()

    def test_it_has_a_name_and_says_under_which_terms_it_is(self, source: Source) -> None:
        assert source.name
        assert source.licences
        assert all(source.licences)

    def test_it_lists_the_same_each_time_and_says_so_by_its_version(
        self, source: Source, pictures: Sequence[Picture], make_source: MakeSource
    ) -> None:
        again = make_source()
        assert again.version() == source.version() != ""
        assert [known(one) for one in again.pictures()] == [known(one) for one in pictures]

    def test_each_item_has_a_name_of_its_own_that_text_can_hold(
        self, pictures: Sequence[Picture]
    ) -> None:
        names = [picture.item_name for picture in pictures]
        assert len(set(names)) == len(names) > 0
        assert [name.encode().decode() for name in names] == names

    def test_each_class_has_a_name_and_one_key(self, pictures: Sequence[Picture]) -> None:
        of_classes = [picture for picture in pictures if picture.class_name is not None]
        assert all(normalised_text(picture.class_name or "") for picture in of_classes)
        keys = {(picture.class_name, picture.class_key) for picture in of_classes}
        assert len(keys) == len({picture.class_name for picture in of_classes})

    def test_what_has_no_class_is_for_training_alone(self, pictures: Sequence[Picture]) -> None:
        without = [picture for picture in pictures if picture.class_name is None]
        assert {picture.split for picture in without} <= {None, "train"}

    @pytest.mark.parametrize(("what", "names"), [("role", ROLES), ("split", SPLITS)])
    def test_roles_and_splits_are_known_of_all_pictures_or_of_none(
        self, pictures: Sequence[Picture], what: str, names: tuple[str, ...]
    ) -> None:
        said = {getattr(picture, what) for picture in pictures}
        assert said == {None} or said <= set(names)

    def test_groups_are_known_of_all_pictures_or_of_none(self, pictures: Sequence[Picture]) -> None:
        assert len({picture.group is None for picture in pictures}) == 1

    def test_pictures_in_other_styles_are_as_many_for_each_that_has_any(
        self, source: Source, pictures: Sequence[Picture]
    ) -> None:
        numbers = {len(picture.styles) for picture in pictures} - {0}
        assert len(numbers) == int(source.has_styles)
        styled = [picture for picture in pictures if picture.styles][:1]
        for read in [read for picture in styled for read in picture.styles]:
            assert read(8).shape == (8, 8, 3)
            assert np.array_equal(read(8), read(8))

    @pytest.mark.parametrize("size_px", SIZES_PX)
    def test_a_picture_is_read_at_the_size_that_is_asked_for_and_each_time_the_same(
        self, pictures: Sequence[Picture], size_px: int
    ) -> None:
        for picture in (pictures[0], pictures[-1]):
            pixels = picture.read(size_px)
            assert pixels.shape == (size_px, size_px, 3)
            assert pixels.dtype == np.uint8
            assert np.array_equal(pixels, picture.read(size_px))
