"""One tree of errors: who catches its root, or a kind of error, catches that of each package."""

import inspect

import pytest

import cmpc.errors
import cmpc_cost_models.errors
import cmpc_kernels.errors
import cmpc_search.errors
from cmpc_base import errors

PACKAGES = (cmpc.errors, cmpc_cost_models.errors, cmpc_kernels.errors, cmpc_search.errors)


@pytest.mark.parametrize("module", PACKAGES, ids=lambda module: module.__name__)
def test_every_error_of_cmpc_has_an_exit_code_and_stands_in_the_one_tree(module):
    raised = [cls for _, cls in inspect.getmembers(module, inspect.isclass)]

    assert raised
    assert all(issubclass(cls, errors.CmpcError) for cls in raised)
    assert all(cls.exit_code in (1, 2, 3, 4) for cls in raised)


@pytest.mark.parametrize("module", PACKAGES[1:], ids=lambda module: module.__name__)
def test_a_bad_argument_of_any_package_is_a_bad_argument_and_a_value_error(module):
    with pytest.raises(errors.BadArgument):
        raise module.BadArgument("what must hold")
    assert issubclass(module.BadArgument, ValueError)


def test_an_unknown_name_is_told_all_names_and_the_nearest():
    error = errors.UnknownName.among({"tpe": 1, "random": 2}, "sampler", "randon")

    assert str(error) == (
        "no sampler is called 'randon'; choose one of tpe, random; did you mean 'random'?"
    )
    assert error.exit_code == 2
