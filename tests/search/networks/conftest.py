"""A space whose networks take milliseconds."""

import pytest

from cmpc_search.space.presets.shufflenet import ShuffleNetSpace, Stage


@pytest.fixture(params=[False, True], ids=["mean", "layout-head"])
def space(request: pytest.FixtureRequest) -> ShuffleNetSpace:
    return ShuffleNetSpace(
        name="tiny",
        input_size_px=16,
        stem_channels=(4,),
        stem_strides=(1,),
        stages=(Stage(12, 2), Stage(24, 2)),
        head_channels=(20,),
        embedding_dim=8,
        has_layout_head=request.param,
        widths=(0.5, 1.0, 1.5),
    )
