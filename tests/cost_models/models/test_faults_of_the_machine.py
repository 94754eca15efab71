"""What the machine refuses while a network is measured ends the measuring."""

import pytest
from meters import meter_here

from cmpc_base.errors import MachineFault
from cmpc_cost_models.timing.settings import MeasureSettings


def test_a_cache_that_can_not_be_written_ends_measuring_and_blames_no_network(
    host, tiny_network, tmp_path
):
    (tmp_path / "compiled").write_text("a file in place of the folder")

    with (
        meter_here(host, tmp_path / "compiled", MeasureSettings(num_blocks=3)) as meter,
        pytest.raises(MachineFault, match=r"compile failed: .*compiled: "),
    ):
        meter.measure(tiny_network)
