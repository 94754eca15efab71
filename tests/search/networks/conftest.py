"""A space whose networks take milliseconds, and batch norms that have something to fold."""

import pytest
import torch
from torch import nn

from cmpc_search.space.presets.shufflenet import ShuffleNetSpace, Stage


@pytest.fixture(params=[False, True], ids=["mean", "layout-head"])
def space(request: pytest.FixtureRequest) -> ShuffleNetSpace:
    return ShuffleNetSpace(
        name="tiny",
        input_size_px=16,
        stem_channels=4,
        stem_stride=1,
        stages=(Stage(12, 2), Stage(24, 2)),
        head_channels=20,
        embedding_dim=8,
        has_layout_head=request.param,
        widths=(0.5, 1.0, 1.5),
    )


def unsettle(network: nn.Module) -> None:
    """Give every batch norm statistics and factors as if it had been trained."""
    torch.manual_seed(1)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean, 0, 0.3)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            if norm.affine:
                nn.init.uniform_(norm.weight, 0.5, 1.5)
                nn.init.normal_(norm.bias, 0, 0.3)


@pytest.fixture(name="unsettle")
def unsettle_fixture():
    return unsettle
