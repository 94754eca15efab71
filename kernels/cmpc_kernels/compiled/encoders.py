"""Compiled: round rows and queries to codes, and measure what the rounding loses.

A row x of D values becomes u, D whole numbers of 1 or 8 bits, and a step s, such that
x = s (u - z) + r with z = (2^bits - 1) / 2. A query q becomes v, D signed bytes, and a scale t,
such that q = t v + p. Then, exactly,

    <q, x> = s <q, u - z> + <q, r> = s (t <v, u> - t z sum(v) + <p, u - z>) + <q, r>

and by Cauchy-Schwarz the two terms that codes do not hold are small:

    |<p, u - z>| <= |p| n and |<q, r>| <= s |q| e,  n >= |u - z| and e >= |r| / s  in each block.

Codes of 8 bits are u = 16 h + l, and h is looked at first (stage 0): with y = 16 h + 7.5 the same
holds of x = s (y - z) + r', where r' = r + s (l - 7.5). What l adds to a score is bounded alike.

Everything is measured from the numbers as they were rounded, so nothing is assumed of the data.
Whatever rounding the measuring itself suffers is added on top; the additions are marked "up".

Codes, steps and what makes scores of them are the same on every processor, so that a search by
codes alone finds the same rows. Only what is measured is summed as each does it fastest.
"""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

import numpy as np
from numba import njit

from cmpc_kernels.compiled.code_tiles import (
    BASE,
    LENGTH,
    MARGIN,
    RESIDUAL,
    SCALE,
    STAGE_FACTS,
    THRESHOLD,
)
from cmpc_kernels.compiled.intrinsics import LANES, as_float32
from cmpc_kernels.compiled.lane_sums import sum_products
from cmpc_kernels.compiled.options import FASTMATH, entrance, inner
from cmpc_kernels.metrics import COSINE, IP

__all__ = [
    "encode_block",
    "encode_blocks",
    "encode_queries",
    "num_stages",
    "pack_block",
]

MIN_STEP = np.float32(2.0**-100)  # rows of smaller values are nearly zero, and get codes of zero
MAX_FLOAT32 = np.float32(3.4028234e38)
LONGEST_QUERY = 2.0**100  # products of longer ones may overflow in a tile


@inner(fastmath=FASTMATH)
def largest_step(value_D):
    """Return the step of 8 bits, which fits the largest value; 0 if one is NaN or infinite."""
    largest, num_bad = np.float32(0), 0
    for d in range(value_D.size):
        size = abs(value_D[d])
        num_bad += not size <= MAX_FLOAT32
        largest = max(largest, size)
    return max(largest * np.float32(2 / 255), MIN_STEP) if num_bad == 0 else np.float32(0)


@entrance()
def num_stages(bits):
    """Return in how many planes the codes come, and are looked at."""
    return 2 if bits == 8 else 1


@inner()
def fill_codes(value_D, step, bits, code_D):
    """Fill the codes for a step. (Without fast-math: no operation is fused with another.)"""
    top = np.float32(2**bits - 1)
    middle, inverse = top / np.float32(2), np.float32(1) / step
    for d in range(value_D.size):
        place = value_D[d] * inverse + (middle + np.float32(0.5))
        place = min(max(place, np.float32(0)), top + np.float32(0.5))
        code_D[d] = np.uint8(np.int32(place))


@inner()
def fitted_step(value_D, bits, code_D):
    """Return the step that loses least, in squares, with the codes as they are."""
    middle = (2**bits - 1) / 2
    product = kept = 0.0
    for d in range(value_D.size):
        centred = np.float64(code_D[d]) - middle
        product += np.float64(value_D[d]) * centred
        kept += centred * centred
    return min(max(np.float32(product / kept), MIN_STEP), MAX_FLOAT32)


@inner(fastmath=FASTMATH)
def measure_row(value_D, step, bits, code_D):
    """Return what codes lose: |r| / s and |u - z|, both up."""
    top = np.float32(2**bits - 1)
    middle, inverse = top / np.float32(2), np.float32(1) / step
    lost = kept = size = np.float32(0)
    for d in range(value_D.size):
        value, centred = value_D[d] * inverse, np.float32(code_D[d]) - middle
        lost += (value - centred) * (value - centred)
        kept += centred * centred
        size += value * value
    up, slack = rounding(value_D.size, top, np.sqrt(size))
    return (np.sqrt(lost) + slack) * up, np.sqrt(kept) * up


@inner()
def rounding(D, top, size):
    """Return a factor for what sums of D numbers lose, and a term for what differences lose."""
    return 1 + (D + 16) * 2.0**-22, 2.0**-21 * (size + 2 * top * np.sqrt(np.float64(D)))


@njit(inline="always")
def halve_row(value_D, step, code_D):
    """Return what the upper halves of 8-bit codes say: the larger of |r'| / s and |l - 7.5|, and n.

    The first serves exact searches, the second those that ask for the codes alone.
    """
    inverse = np.float32(1) / step
    lost = rest = kept = size = np.float32(0)
    for d in range(value_D.size):
        value, code = value_D[d] * inverse, np.int32(code_D[d])
        centred = np.float32(code & 240) - np.float32(120)
        low = np.float32(code & 15) - np.float32(7.5)
        lost += (value - centred) * (value - centred)
        rest += low * low
        kept += centred * centred
        size += value * value
    up, slack = rounding(value_D.size, np.float32(255), np.sqrt(size))
    return (np.sqrt(max(lost, rest)) + slack) * up, np.sqrt(kept) * up


@njit(inline="always")
def encode_row(value_D, bits, code_D):
    """Fill one row's codes; return the step (0: NaN or infinite values), |r| / s and |u - z|."""
    step = largest_step(value_D)
    if step == 0:
        code_D[:] = 0
        return step, 0.0, 0.0
    fill_codes(value_D, step, bits, code_D)
    if bits < 8:  # a code is a sign, whatever the step
        step = fitted_step(value_D, bits, code_D)
    lost, kept = measure_row(value_D, step, bits, code_D)
    return step, lost, kept


@inner()
def gain_and_offset(row_GD, g, step, metric):
    """Return what turns a row's whole numbers into its score."""
    if step == 0:
        return np.float32(np.nan), np.float32(0)  # NaN: never excluded
    if metric == IP:
        return step, np.float32(0)
    square = sum_products(row_GD, g, row_GD, g)
    if metric == COSINE:
        return np.float32(step / np.sqrt(square) if square > 0 else 0), np.float32(0)
    half = min(square / 2 * (1 - 2.0**-20), np.float64(MAX_FLOAT32))  # down: it is subtracted
    return step, np.float32(-half)


@inner(fastmath=FASTMATH)
def encode_block(row_GD, first, metric, bits, quad, gain, offset, bound, value_D, code_C):
    """Fill one block's codes, four bytes of a row as one number: ``quad`` is uint32 [W, 16].

    ``gain`` [16], ``offset`` [16 or 0] and ``bound`` [2 or 4] are its own; ``value_D`` and
    ``code_C`` [4 W] are work space. Rows past the end are zero. (No array is seen as another type
    in here: Numba would compile the messages of what could go wrong, for seconds.)
    """
    G, D = row_GD.shape
    bound[:] = 0
    code_C[:] = 0
    last = bound.size - 2
    for lane in range(LANES):
        if first + lane >= G:
            quad[:, lane], gain[lane], offset[lane : lane + 1] = 0, 0, 0
            continue
        for d in range(D):
            value_D[d] = as_float32(row_GD[first + lane, d])
        step, lost, kept = encode_row(value_D, bits, code_C[:D])
        bound[last] = max(bound[last], np.float32(lost * (1 + 2.0**-20)))
        bound[last + 1] = max(bound[last + 1], np.float32(kept * (1 + 2.0**-20)))
        if bits == 8 and step != 0:
            lost, kept = halve_row(value_D, step, code_C[:D])
            bound[0] = max(bound[0], np.float32(lost * (1 + 2.0**-20)))
            bound[1] = max(bound[1], np.float32(kept * (1 + 2.0**-20)))
        gain[lane], offset[lane : lane + 1] = gain_and_offset(row_GD, first + lane, step, metric)
        for w in range(quad.shape[0]):
            number = np.uint32(0)
            for i in range(4):
                number |= np.uint32(code_C[4 * w + i]) << np.uint32(8 * i)
            quad[w, lane] = number


@njit(inline="always")
def pack_block(quad, bits, packed, rest):
    """Split bytes [W, 16] into a plane of codes, several to a byte; of 8 bits into two planes."""
    width = min(bits, 4)
    parts = 8 // width
    for v in range(packed.shape[0]):
        for lane in range(LANES):
            high = low = np.uint32(0)
            for part in range(parts):
                number = quad[v * parts + part, lane]
                if bits == 8:
                    low |= (number & np.uint32(0x0F0F0F0F)) << np.uint32(part * width)
                    number = (number >> np.uint32(4)) & np.uint32(0x0F0F0F0F)
                high |= number << np.uint32(part * width)
            packed[v, lane] = high
            if bits == 8:
                rest[v, lane] = low


@entrance()
def encode_blocks(row_GD, metric, bits, packed, rest, gain, offset, bound, quad, value_D, code_C):
    """Fill blocks of 16 rows each; see ``RowCodes``. Planes come as uint32 [B, V, 16].

    ``quad``, uint32 [W, 16], and the two after it are work space, as in ``encode_block``.
    """
    for b in range(packed.shape[0]):
        encode_block(
            row_GD, b * LANES, metric, bits, quad, gain[b], offset[b], bound[b], value_D, code_C
        )
        pack_block(quad, bits, packed[b], rest[b])


@entrance()
def encode_queries(query_QD, bits, levels, is_coarse, code, total, fact, length_Q):
    """Fill each query's signed bytes, their sum, its length, and the facts that tiles must know.

    No byte is beyond ``levels``. The facts are the scale t, the threshold -inf, and for each stage
    the base, which is -t z sum(v) (with y - h for z in the first of two), |q|, |p| and a margin,
    which the base includes, for underflow and the tile's float32 arithmetic, which rounds numbers
    of at most t 2^bits sum|v|. A coarse scan asks what codes say: |q| and |p| are 0, but for t |v|
    where codes are still to come.
    """
    up = 1 + 2.0**-16
    for q in range(query_QD.shape[0]):
        largest, length = 0.0, 0.0
        for d in range(query_QD.shape[1]):
            value = np.float64(query_QD[q, d])
            largest = largest if abs(value) <= largest else abs(value)
            length += value * value
        length_Q[q] = length = np.sqrt(length)
        if not length < LONGEST_QUERY:  # no row is excluded by what is not a number
            code[q], total[q], fact[q], fact[q, THRESHOLD] = 0, 0, np.nan, -np.inf
            continue
        scale = np.float32(max(largest / levels, 2.0**-126))
        residual = magnitude = square = 0.0
        total[q] = 0
        for d in range(query_QD.shape[1]):
            value = np.float64(query_QD[q, d])
            rounded = min(max(np.rint(value / scale), -levels), levels)
            code[q, d] = np.int8(rounded)
            total[q] += np.int32(rounded)
            magnitude += abs(rounded)
            square += rounded * rounded
            residual += (value - scale * rounded) ** 2
        margin = 2.0**-19 * scale * 2.0**bits * magnitude + 2.0**-130
        fact[q, SCALE], fact[q, THRESHOLD] = scale, -np.inf
        for stage in range(num_stages(bits)):
            is_last = stage == num_stages(bits) - 1
            middle = (2**bits - 1) / 2 if is_last else 120.0
            coarse = 0.0 if is_last else scale * np.sqrt(square)
            column = STAGE_FACTS * stage
            fact[q, BASE + column] = margin - scale * middle * total[q]
            fact[q, LENGTH + column] = (coarse if is_coarse else length) * up
            fact[q, RESIDUAL + column] = 0.0 if is_coarse else np.sqrt(residual) * up
            fact[q, MARGIN + column] = margin
