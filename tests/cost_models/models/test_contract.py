"""All cost models of ours keep what every cost model promises."""

import pytest
from meters import meter_here

from cmpc_cost_models.compiling.options import CompileOrder
from cmpc_cost_models.models.base import CostModel
from cmpc_cost_models.models.catalogue import COST_MODELS, PREDICTORS, make_meter
from cmpc_cost_models.models.counted import CountedModel
from cmpc_cost_models.targets.device import NOWHERE
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.testing.cost_models import CostModelContract, PredictorContract
from cmpc_cost_models.timing.settings import MeasureSettings

QUICK = MeasureSettings(
    num_blocks=3, span_seconds=0, block_ms=0.5, warmup_ms=1.0, num_single_runs=0, max_attempts=1
)


class TestCounted(PredictorContract):
    @pytest.fixture
    def cost_model(self):
        return CountedModel()


class TestPredictors(PredictorContract):
    @pytest.fixture(params=PREDICTORS)
    def cost_model(self, request):
        return PREDICTORS.load(request.param)(find_target("arm"))


class TestChecked(CostModelContract):
    @pytest.fixture
    def cost_model(self, host, cache_dir):
        return make_meter(CompileOrder(target=host, cache_dir=cache_dir), NOWHERE)


class TestMeasured(CostModelContract):
    @pytest.fixture
    def cost_model(self, host, cache_dir):
        return meter_here(host, cache_dir, QUICK)


def test_every_name_of_the_catalogue_is_a_cost_model():
    assert all(issubclass(COST_MODELS.load(name), CostModel) for name in COST_MODELS)
    assert set(PREDICTORS) < set(COST_MODELS)
