import pytest

from cmpc_cost_models.measuring.timing import summarise_blocks

QUIET = [1.0, 1.01, 0.99, 1.0, 1.01, 0.99, 1.0, 1.01, 0.99]


def test_quiet_blocks_are_trusted():
    blocks = summarise_blocks(QUIET, cpu_share=1.0)

    assert blocks.unstable_reasons == ()
    assert blocks.median_ms == 1.0
    assert blocks.mad_ms == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("blocks_ms", "cpu_share", "reason"),
    [
        ([1.0, 1.2] * 6, 1.0, "spread by"),
        ([1.0, 1.0, 1.0, 1.02, 1.03, 1.04, 1.1, 1.1, 1.1], 1.0, r"drifted by \+10"),
        (QUIET, 0.7, "had its core for 70%"),
    ],
)
def test_a_doubtful_timing_says_why(blocks_ms, cpu_share, reason):
    [*_, last] = summarise_blocks(blocks_ms, cpu_share=cpu_share).unstable_reasons

    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(last)
