"""Which trained networks of a run are taken for trained, those of earlier versions among them."""

import json

import pytest

from cmpc_search.stages.trained_picks import PickFacts, TrainedPick

CONTROL = {
    "schema_version": 2,
    "architecture": "k3w1.0",
    "method": "independent",
    "training": {"num_steps": 10},
    "seed": 0,
    "bank_seed": 3,
}
CONTROL_FACTS = PickFacts(
    architecture="k3w1.0", method="independent", training={"num_steps": 10}, seed=0, bank_seed=3
)


@pytest.mark.parametrize(
    ("changed", "is_same"), [({}, True), ({"has_new_gallery": True}, False), ({"seed": 1}, False)]
)
def test_a_control_that_an_earlier_version_trained_is_not_trained_again(tmp_path, changed, is_same):
    (tmp_path / "facts.json").write_text(json.dumps(CONTROL | changed))

    assert TrainedPick(tmp_path).is_of(CONTROL_FACTS) is is_same
