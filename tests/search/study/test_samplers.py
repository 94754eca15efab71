"""Each sampler keeps the promise of its family."""

import pytest

from cmpc_search.study.samplers.catalogue import SAMPLERS
from cmpc_search.testing.samplers import SamplerContract


class TestSamplers(SamplerContract):
    @pytest.fixture(params=SAMPLERS)
    def make(self, request):
        return SAMPLERS.load(request.param)
