"""Each kind of augmentation by name, as it is and with all that it can do, keeps the promise."""

import pytest
from pydantic import BaseModel, ValidationError

from cmpc_search.testing.augmentations import AugmentationContract
from cmpc_search.training.augmentation.catalogue import AUGMENTATIONS
from cmpc_search.training.augmentation.choosing import AnyAugmentation
from cmpc_search.training.augmentation.drawing import Drawing
from cmpc_search.training.augmentation.photo import Photo

STRONG = [
    Drawing(
        supersampling=3,
        max_turn_degrees=180,
        max_bend=0.1,
        mirror_share=0.5,
        grey_share=0.3,
        hue_share=0.5,
        line_share=0.5,
        erased_share=0.7,
    ),
    Photo(supersampling=2, grey_share=0.5, blurred_share=0.7, max_blur=0.2, erased_share=0.7),
]
PLAIN = [AUGMENTATIONS.load(name)() for name in AUGMENTATIONS]


class Settings(BaseModel):
    augmentation: AnyAugmentation = Drawing()


@pytest.mark.parametrize("augmentation", [*PLAIN, *STRONG], ids=repr)
class TestAugmentations(AugmentationContract):
    pass


def test_settings_are_those_of_the_kind_that_they_name():
    read = Settings.model_validate

    assert read({"augmentation": {"max_gain": 0.5}}).augmentation == Drawing(max_gain=0.5)
    photo = read({"augmentation": {"kind": "photo", "min_area": 0.5}})
    assert photo.augmentation == Photo(min_area=0.5)
    assert read(photo.model_dump()) == photo


def test_settings_of_another_kind_are_refused_by_name():
    with pytest.raises(ValidationError) as raised:
        Settings.model_validate({"augmentation": {"kind": "photo", "max_gain": 0.5}})
    assert [error["loc"] for error in raised.value.errors()] == [("augmentation", "max_gain")]
    with pytest.raises(ValidationError, match="did you mean 'drawing'"):
        Settings.model_validate({"augmentation": {"kind": "drawings"}})


@pytest.mark.parametrize("kind", [[], {}, 3, None])
def test_a_kind_that_is_no_name_is_refused(kind):
    with pytest.raises(ValidationError, match="kind"):
        Settings.model_validate({"augmentation": {"kind": kind}})
