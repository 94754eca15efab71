"""Codes are as near to their rows as they say, and can be cut and joined like the rows."""

import numpy as np
import pytest

from cmpc_kernels import BadArgument
from cmpc_kernels.nearest.codes import (
    RowCodes,
    encode_binary,
    encode_int8,
    join_codes,
)

ENCODERS = {1: encode_binary, 8: encode_int8}
every_width = pytest.mark.parametrize("bits", ENCODERS)


def awkward_rows(rng, num_rows, dimension):
    """Return rows of every size, some zero, some constant, some nearly so."""
    rows = rng.standard_normal((num_rows, dimension)) * 10.0 ** rng.integers(-42, 33, (num_rows, 1))
    rows[:: max(1, num_rows // 5)] = 0
    rows[1::7] = rows[1::7, :1]
    rows[2::11, 0] *= 1e4
    return rows.astype(np.float32)


@every_width
@pytest.mark.parametrize("shape", [(1, 1), (16, 4), (50, 33), (33, 128), (3, 4096)])
def test_no_row_is_farther_from_its_code_than_its_block_says(bits, shape, rng):
    rows = awkward_rows(rng, *shape)

    codes = ENCODERS[bits](rows)

    step = codes.gains.reshape(-1, 1)[: shape[0]].astype(np.float64)
    centred = np.round(codes.decode().astype(np.float64) / step * 2) / 2
    lost = np.linalg.norm(rows.astype(np.float64) / step - centred, axis=1)
    kept = np.linalg.norm(centred, axis=1)
    bounds = codes.bounds.astype(np.float64).repeat(16, axis=0)[: shape[0]]
    assert (lost <= bounds[:, -2]).all()
    assert (kept <= bounds[:, -1]).all()
    largest = np.maximum.reduceat(lost, np.arange(0, len(lost), 16))
    assert (codes.bounds[:, -2] <= largest * 1.01 + 0.05).all()
    if bits == 8:  # and what the upper four bits say alone
        upper = 16 * np.floor((centred + 127.5) / 16) - 120
        rest = np.linalg.norm(centred - upper, axis=1)
        lost = np.linalg.norm(rows.astype(np.float64) / step - upper, axis=1)
        assert (np.maximum(lost, rest) <= bounds[:, 0]).all()
        assert (np.linalg.norm(upper, axis=1) <= bounds[:, 1]).all()


@pytest.mark.parametrize(("bits", "error"), [(8, 0.011), (1, 0.62)])
def test_normal_values_lose_what_theory_says(bits, error, rng):
    """Max (1960), table I: a mean squared error of 0.3634 for 1 bit."""
    rows = rng.standard_normal((2000, 256), dtype=np.float32)

    lost = ENCODERS[bits](rows).decode() - rows

    assert np.sqrt(np.square(lost).mean()) < error


@every_width
@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_rows_are_cut_and_joined_as_if_encoded_so(bits, metric, rng):
    rows = awkward_rows(rng, 75, 19)
    whole = ENCODERS[bits](rows, metric=metric)
    order = rng.permutation(75)[:37]
    joined = join_codes(
        [ENCODERS[bits](part, metric=metric) for part in np.split(rows, [0, 32, 41])]
    )
    aligned = join_codes([ENCODERS[bits](part, metric=metric) for part in np.split(rows, [32, 64])])

    for found, expected in [
        (aligned, whole),
        (joined, whole),
        (whole.take(order), ENCODERS[bits](rows[order], metric=metric)),
        (whole.take(order[:0]), ENCODERS[bits](rows[:0], metric=metric)),
    ]:
        assert len(found) == len(expected)
        for name, array in expected.arrays().items():
            if name == "bounds":  # of all rows that shared a block before
                assert (found.bounds >= array).all()
            else:
                np.testing.assert_array_equal(getattr(found, name), array)


@every_width
def test_half_precision_and_strided_rows_get_the_same_codes(bits, rng):
    half = rng.standard_normal((40, 21)).astype(np.float16)
    plain = half.astype(np.float32)
    strided = np.asfortranarray(np.repeat(plain, 2, axis=0))[::2]

    expected = ENCODERS[bits](plain).arrays()

    for rows in (half, strided):
        for name, array in ENCODERS[bits](rows).arrays().items():
            np.testing.assert_array_equal(array, expected[name])


def test_codes_of_fewer_bits_take_fewer_bytes_and_pass_through_their_arrays(rng):
    rows = rng.standard_normal((160, 128), dtype=np.float32)
    for bits, encode in ENCODERS.items():
        codes = encode(rows)
        again = RowCodes.from_arrays(
            codes.arrays(), bits=bits, metric="ip", num_rows=160, dimension=128
        )
        assert np.shares_memory(again.packed, codes.packed)
        assert not again.packed.flags.writeable
        assert codes.packed.nbytes + codes.rests.nbytes == 160 * 128 * bits // 8
        assert codes.num_bytes == 160 * 128 * bits // 8 + 160 * 4 + 10 * (16 if bits == 8 else 8)


def test_arrays_that_do_not_fit_are_refused():
    codes = encode_int8(np.ones((20, 5), np.float32))
    facts = {"bits": 8, "metric": "ip", "num_rows": 20, "dimension": 5}
    for change, message in [
        ({"bits": 3}, "1 or 8 bits, got 3"),
        ({"dimension": 9}, r"packed of 20 rows of 9 values in 8 bits must be"),
        ({"metric": "l2"}, r"offsets of 20 rows .* \[2, 16\], row by row"),
        ({"metric": "l1"}, "no metric is called 'l1'"),
    ]:
        with pytest.raises(BadArgument, match=message):
            RowCodes.from_arrays(codes.arrays(), **facts | change)
    with pytest.raises(BadArgument, match="missing: \\['gains'\\]"):
        RowCodes.from_arrays({n: a for n, a in codes.arrays().items() if n != "gains"}, **facts)
    with pytest.raises(BadArgument, match=r"positions must be in \[0, 20\)"):
        codes.take(np.array([20]))
    with pytest.raises(BadArgument, match="share bits, metric and dimension"):
        join_codes([codes, encode_binary(np.ones((1, 5), np.float32))])
