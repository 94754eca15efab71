"""Each coordinator keeps the promise of its family."""

import pytest

from cmpc_search.study.coordination.catalogue import COORDINATORS
from cmpc_search.testing.coordinators import CoordinatorContract


class TestCoordinators(CoordinatorContract):
    @pytest.fixture(params=COORDINATORS)
    def coordinator(self, request, tmp_path):
        return COORDINATORS.load(request.param)(tmp_path / "study.db")
