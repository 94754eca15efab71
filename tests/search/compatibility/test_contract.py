"""Every compatibility method by name keeps the promise of the family, and so does a sum."""

import pytest

from cmpc_search.compatibility.base import Method, MethodSettings, Need
from cmpc_search.compatibility.catalogue import METHODS
from cmpc_search.compatibility.sums import Sum
from cmpc_search.testing.methods import AlignedMethodContract, MethodContract

ALIGNED = ("csd", "d3still", "raml", "regression", "ssp")


def made(name, **settings):
    method_class = METHODS.load(name)
    return method_class(method_class.Settings(**settings))


class Named:
    @pytest.fixture
    def make(self, name):
        return lambda: made(name)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ALIGNED])
class TestEveryMethod(Named, MethodContract):
    pass


@pytest.mark.parametrize("name", ALIGNED)
class TestEveryMethodThatAims(Named, AlignedMethodContract):
    pass


class TestASum(MethodContract):
    @pytest.fixture
    def make(self):
        return lambda: Sum({"bct": made("bct"), "ssp": made("ssp", wrong_weight=0.5)})


class TestNeighboursAlone(AlignedMethodContract):
    @pytest.fixture
    def make(self):
        return lambda: made("csd", neighbours=3)


class Relations(Method):
    """Copies how the gallery's embeddings lie to each other, and so no place in its space."""

    needs = frozenset({Need.GALLERY_EMBEDDINGS})

    def losses(self, embeddings, step):
        seen = step.gallery_embeddings
        errors = embeddings @ embeddings.T - seen @ seen.T
        return {"relations": step.mean(errors.square().mean(dim=1))}


class TestAMethodThatIsNotAligned(AlignedMethodContract):
    """The contract tells it from those that are, by nothing but a space turned as a whole."""

    @pytest.fixture
    def make(self):
        return lambda: Relations(MethodSettings())

    def test_it_costs_to_embed_anything_else(self, prepared, step):
        with pytest.raises(AssertionError):
            super().test_it_costs_to_embed_anything_else(prepared, step)
