"""Compiled: round rows and queries to codes, and measure what the rounding loses.

A row x of D values becomes u, D whole numbers of 1, 2, 4 or 8 bits, and a step s, such that
x = s (u - z) + r with z = (2^bits - 1) / 2. A query q becomes v, D signed bytes, and a scale t,
such that q = t v + p. Then, exactly,

    <q, x> = s <q, u - z> + <q, r> = s (t <v, u> - t z sum(v) + <p, u - z>) + <q, r>

and by Cauchy-Schwarz the two terms that codes do not hold are small:

    |<p, u - z>| <= |p| n and |<q, r>| <= s |q| e,  n >= |u - z| and e >= |r| / s  in each block.

Everything is measured from the numbers as they were rounded, so nothing is assumed of the data.
Whatever rounding the measuring itself suffers is added on top; the additions are marked "up".
"""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

import numpy as np
from numba import njit

from cmpc_kernels._tiles import BASE, LENGTH, RESIDUAL, SCALE, THRESHOLD
from cmpc_kernels.intrinsics import LANES, as_float32

__all__ = ["COSINE", "IP", "L2", "encode_blocks", "encode_queries", "encode_row"]

# Sums may be reordered, so that they become vectors; NaN and infinity keep their meaning.
FASTMATH = {"nsz", "contract", "reassoc"}
IP, COSINE, L2 = range(3)

MIN_STEP = np.float32(2.0**-100)  # rows of smaller values are nearly zero, and get codes of zero
MAX_FLOAT32 = np.float32(3.4028234e38)
QUERY_LEVELS = 127


@njit(fastmath=FASTMATH, cache=True, nogil=True)
def first_step(value_D, bits):
    """Return the step to start from; 0 if a value is NaN or infinite."""
    largest, square, num_bad = np.float32(0), np.float64(0), 0
    for d in range(value_D.size):
        size = abs(value_D[d])
        num_bad += not size <= MAX_FLOAT32
        largest = max(largest, size)
        square += np.float64(size) * np.float64(size)
    if num_bad:
        return np.float32(0)
    if bits == 8:
        return max(largest * np.float32(2 / 255), MIN_STEP)
    # The best uniform steps for normal values: Max, "Quantizing for minimum distortion", 1960.
    share = 0.3352 if bits == 4 else 0.9957 if bits == 2 else 1.596
    return max(np.float32(share * np.sqrt(square / value_D.size)), MIN_STEP)


@njit(fastmath=FASTMATH, cache=True, nogil=True)
def round_row(value_D, step, bits, code_D):
    """Fill the codes for a step; return |r| / s and |u - z|, both up, and a better step."""
    top = np.float32(2**bits - 1)
    middle, inverse = top / np.float32(2), np.float32(1) / step
    lost = kept = size = product = np.float32(0)
    for d in range(value_D.size):
        value = value_D[d] * inverse
        place = min(max(value + (middle + np.float32(0.5)), np.float32(0)), top + np.float32(0.5))
        code = np.int32(place)
        code_D[d] = np.uint8(code)
        centred = np.float32(code) - middle
        lost += (value - centred) * (value - centred)
        kept += centred * centred
        product += value * centred
        size += value * value
    D = value_D.size
    up = 1 + (D + 16) * 2.0**-22  # for the sums
    slack = 2.0**-21 * (np.sqrt(size) + 2 * top * np.sqrt(D))  # for the differences
    return (np.sqrt(lost) + slack) * up, np.sqrt(kept) * up, step * product / kept


@njit(fastmath=FASTMATH, cache=True, nogil=True)
def encode_row(value_D, bits, code_D):
    """Fill one row's codes; return the step (0: NaN or infinite values), |r| / s and |u - z|."""
    step = first_step(value_D, bits)
    if step == 0:
        code_D[:] = 0
        return step, 0.0, 0.0
    lost, kept, better = round_row(value_D, step, bits, code_D)
    if bits < 8:
        for _ in range(2):  # least squares given the codes, then the codes given the step
            step = min(max(np.float32(better), MIN_STEP), MAX_FLOAT32)
            lost, kept, better = round_row(value_D, step, bits, code_D)
    return step, lost, kept


@njit(fastmath=FASTMATH, cache=True, nogil=True)
def encode_blocks(row_GD, metric, bits, packed, gain, offset, bound):
    """Fill blocks of 16 rows each: codes, gains, offsets and bounds; see ``RowCodes``.

    ``packed`` comes as uint32 [B, V, 16]: four codes of one row, or their parts, are one number.
    """
    G, D = row_GD.shape
    V, num_parts = packed.shape[1], 8 // bits
    value_D = np.zeros(D, np.float32)
    code_D = np.zeros(V * num_parts * 4, np.uint8)
    quad = code_D.view(np.uint32)
    bound[:] = 0
    for g in range(packed.shape[0] * LANES):
        b, lane = g // LANES, g % LANES
        if g >= G:
            packed[b, :, lane] = 0
            gain[b, lane] = 0
            if offset.size:
                offset[b, lane] = 0
            continue
        for d in range(D):
            value_D[d] = as_float32(row_GD[g, d])
        step, lost, kept = encode_row(value_D, bits, code_D[:D])
        for v in range(V):
            number = quad[v * num_parts]
            for part in range(1, num_parts):
                number |= quad[v * num_parts + part] << np.uint32(part * bits)
            packed[b, v, lane] = number
        bound[b, 0] = max(bound[b, 0], np.float32(lost * (1 + 2.0**-20)))
        bound[b, 1] = max(bound[b, 1], np.float32(kept * (1 + 2.0**-20)))
        gain[b, lane] = step if step != 0 else np.float32(np.nan)  # NaN: never excluded
        if metric != IP and step != 0:
            square = 0.0
            for d in range(D):
                square += np.float64(value_D[d]) * np.float64(value_D[d])
            if metric == COSINE:
                length = np.sqrt(square)
                gain[b, lane] = np.float32(step / length) if length > 0 else np.float32(np.nan)
            else:  # down: |x|^2 / 2 is subtracted
                half = min(square / 2 * (1 - 2.0**-20), np.float64(MAX_FLOAT32))
                offset[b, lane] = np.float32(-half)


@njit(cache=True, nogil=True)
def encode_queries(query_QD, bits, is_coarse, code, total, fact, length_Q):
    """Fill each query's signed bytes, their sum, its length, and the facts that tiles must know.

    The facts are the scale t, the base -t z sum(v), |q|, |p| and the threshold -inf. The base has
    a margin for the tile's float32 arithmetic, which rounds numbers of at most t 2^bits sum|v|, and
    for underflow. A coarse scan is told that |q| and |p| are 0: it asks what the codes say.
    """
    middle, up = (2**bits - 1) / 2, 1 + 2.0**-16
    for q in range(query_QD.shape[0]):
        largest, length = 0.0, 0.0
        for d in range(query_QD.shape[1]):
            value = np.float64(query_QD[q, d])
            largest = largest if abs(value) <= largest else abs(value)  # NaN comes through
            length += value * value
        length_Q[q] = length = np.sqrt(length)
        if not length < np.inf:  # no row is excluded by what is not a number
            code[q], total[q], fact[q], fact[q, THRESHOLD] = 0, 0, np.nan, -np.inf
            continue
        scale = np.float32(max(largest / QUERY_LEVELS, 2.0**-126))
        residual = magnitude = 0.0
        total[q] = 0
        for d in range(query_QD.shape[1]):
            value = np.float64(query_QD[q, d])
            rounded = min(max(np.rint(value / scale), -QUERY_LEVELS), QUERY_LEVELS)
            code[q, d] = np.int8(rounded)
            total[q] += np.int32(rounded)
            magnitude += abs(rounded)
            residual += (value - scale * rounded) ** 2
        margin = 2.0**-19 * scale * 2.0**bits * magnitude + 2.0**-130
        fact[q, SCALE], fact[q, BASE] = scale, margin - scale * middle * total[q]
        fact[q, LENGTH] = 0 if is_coarse else length * up
        fact[q, RESIDUAL] = 0 if is_coarse else np.sqrt(residual) * up
        fact[q, THRESHOLD] = -np.inf
