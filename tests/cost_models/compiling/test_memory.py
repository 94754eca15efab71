"""Buffers share memory where they may, and never where they may not."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cmpc_cost_models.compiling.memory import ALIGNMENT, Lifetime, aligned, place

CALLS = 12
LIVES = st.builds(
    lambda size, first, length: Lifetime(num_bytes=size, first=first, last=first + length),
    st.integers(1, 2000),
    st.integers(0, CALLS),
    st.integers(0, CALLS),
)


def spans_at(call, buffers, arena):
    """Return where the buffers lie that are needed at ``call``, in order."""
    return sorted(
        (arena.offsets[name], arena.offsets[name] + one.num_bytes)
        for name, one in buffers.items()
        if one.first <= call <= one.last
    )


@given(st.lists(LIVES, max_size=20))
def test_what_is_needed_at_once_does_not_overlap_and_is_aligned_within_the_arena(lives):
    buffers = {str(number): one for number, one in enumerate(lives)}

    arena = place(buffers)

    assert arena.offsets.keys() == buffers.keys()
    assert not any(offset % ALIGNMENT for offset in arena.offsets.values())
    for call in range(2 * CALLS + 1):
        spans = spans_at(call, buffers, arena)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
        assert all(end <= arena.num_bytes for _, end in spans)
    assert arena.num_bytes <= sum(aligned(one.num_bytes) for one in lives)


def test_a_chain_needs_no_more_than_its_two_largest_neighbours():
    sizes = [640, 128, 1280, 64, 640, 320]
    buffers = {
        str(number): Lifetime(num_bytes=size, first=number, last=number + 1)
        for number, size in enumerate(sizes)
    }

    assert place(buffers).num_bytes == 1280 + 128


def test_of_the_gaps_that_fit_the_smallest_is_taken():
    always, early = {"first": 0, "last": 9}, {"first": 0, "last": 1}
    buffers = {
        "a": Lifetime(num_bytes=1024, **always),
        "leaves 512": Lifetime(num_bytes=512, **early),
        "b": Lifetime(num_bytes=448, **always),
        "leaves 256": Lifetime(num_bytes=256, **early),
        "c": Lifetime(num_bytes=192, **always),
        "late": Lifetime(num_bytes=128, first=5, last=6),
    }

    offsets = place(buffers).offsets

    assert offsets["late"] == offsets["leaves 256"] == 1024 + 512 + 448
