"""Samplers see a value for each choice, and none of an idle block says anything."""

import random
from collections import Counter

from cmpc_search.space.presets.shufflenet import ShuffleNetSpace, Stage
from cmpc_search.study.encoding import Encoding

SPACE = ShuffleNetSpace(
    name="elastic",
    input_size_px=16,
    smaller_inputs_px=(8,),
    stem_channels=(4,),
    stem_strides=(1,),
    stages=(Stage(12, 3, least_depth=1),),
    head_channels=(16,),
    embedding_dim=8,
    widths=(0.5, 1.0),
)


def test_parameters_are_read_back_whatever_idle_blocks_say():
    encoding, rng = Encoding(SPACE), random.Random(0)

    for one in (SPACE.sample(rng) for _ in range(100)):
        params = encoding.to_params(one)
        assert list(params) == list(encoding.distributions)
        assert encoding.to_params(one) == params
        assert encoding.from_params(params) == one


def test_idle_blocks_have_all_of_their_values():
    encoding, rng = Encoding(SPACE), random.Random(0)
    shallow = {one for one in (SPACE.sample(rng) for _ in range(2000)) if "d1" in one.key}

    found = Counter(encoding.to_params(one)["block_02"] for one in shallow)
    assert len(shallow) == 16
    assert set(found) == {0, 1, 2, 3}
