"""The classifier's loss on a case that a hand works out."""

import math

import pytest
import torch

from cmpc_search.networks.heads import margin_cross_entropy


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_margin_and_smoothing_are_as_their_formulas_say(smoothing):
    """One image of class 0 of three, whose scores are 4 (0.8 - 0.05), 4 * 0.5 and 0."""
    cosines = torch.tensor([[0.8, 0.5, 0.0]])

    found = margin_cross_entropy(
        cosines, torch.tensor([0]), scale=4.0, margin=0.05, smoothing=smoothing
    )

    total = math.log(math.exp(3) + math.exp(2) + 1)
    losses = [total - score for score in (3, 2, 0)]
    expected = (1 - smoothing) * losses[0] + smoothing * sum(losses) / 3
    assert found.item() == pytest.approx(expected, rel=1e-6)
