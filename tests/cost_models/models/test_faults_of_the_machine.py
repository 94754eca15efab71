"""What the machine refuses while a network is measured ends the measuring."""

import pytest

from cmpc_base.errors import MachineFault
from cmpc_cost_models.models.measured import LatencyMeter, MeasureSettings


def test_a_cache_that_can_not_be_written_ends_measuring_and_blames_no_network(
    host, tiny_network, tmp_path
):
    (tmp_path / "compiled").write_text("a file in place of the folder")

    with (
        LatencyMeter(
            host, cache_dir=tmp_path / "compiled", settings=MeasureSettings(num_blocks=3)
        ) as meter,
        pytest.raises(MachineFault, match=r"compile failed: .*compiled: "),
    ):
        meter.measure(tiny_network)
