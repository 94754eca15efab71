"""All patterns of ours keep what every pattern promises."""

import numpy as np
import pytest
from made_up_models import SHAPE, make_model, node, weights

from cmpc_cost_models.graphs.patterns.channel_shuffle import channel_shuffle
from cmpc_cost_models.graphs.patterns.swish import swish
from cmpc_cost_models.graphs.patterns.unit_length import unit_length
from cmpc_cost_models.testing.patterns import PatternContract

GATES = {
    "sigmoid": node("Sigmoid", "c", "s"),
    "hard sigmoid": node("HardSigmoid", "c", "s", alpha=1 / 6),
}


class TestChannelShuffle(PatternContract):
    @pytest.fixture
    def pattern(self):
        return channel_shuffle

    @pytest.fixture
    def model(self):
        nodes = [
            node("Reshape", "x split", "a"),
            node("Transpose", "a", "t", perm=[0, 2, 1, 3, 4]),
            node("Reshape", "t whole", "y"),
        ]
        constants = {"split": np.array([1, 2, 5, 5, 7]), "whole": np.array(SHAPE)}
        return make_model(nodes, (SHAPE, SHAPE), constants)


class TestSwish(PatternContract):
    @pytest.fixture
    def pattern(self):
        return swish

    @pytest.fixture(params=GATES)
    def model(self, request, rng):
        nodes = [
            node("Conv", "x w", "c", pads=[1] * 4),
            GATES[request.param],
            node("Mul", "c s", "y"),
        ]
        return make_model(nodes, (SHAPE, SHAPE), {"w": weights(rng, 10, 10, 3, 3)})


class TestUnitLength(PatternContract):
    @pytest.fixture
    def pattern(self):
        return unit_length

    @pytest.fixture
    def model(self):
        nodes = [
            node("GlobalAveragePool", "x", "p"),
            node("Flatten", "p", "f"),
            node("ReduceL2", "f axis", "n"),
            node("Clip", "n tiny", "m"),
            node("Div", "f m", "y"),
        ]
        constants = {"axis": np.array([1]), "tiny": np.float32(1e-12)}
        return make_model(nodes, (SHAPE, (1, 10)), constants)
