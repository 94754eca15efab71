from hypothesis import given
from hypothesis import strategies as st

from cmpc_cost_models.schedules.tiling import REGISTERS, choose_tile

sizes = st.integers(1, 300)


@given(height=sizes, width=sizes, channels=sizes, vector_bits=st.sampled_from(sorted(REGISTERS)))
def test_a_tile_fits_the_result_and_the_registers(height, width, channels, vector_bits):
    tile = choose_tile(height, width, channels, vector_bits=vector_bits)

    assert 1 <= tile.rows <= height
    assert 1 <= tile.columns <= width
    assert 1 <= tile.channels <= channels
    assert tile.lanes * 32 <= vector_bits
    assert tile.num_accumulators < REGISTERS[vector_bits]
