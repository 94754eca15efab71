"""Take codes that share bytes apart: whole blocks as bytes, for scans of many queries."""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

import numpy as np
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from cmpc_kernels.compiled.emitter import Emitter
from cmpc_kernels.compiled.intrinsics import I32_LANES, I64, splat_constant

__all__ = ["one_code", "unpack"]


def one_code(builder, vector, part, bits):
    """Emit one code of each byte of a vector: the lowest bits are part 0."""
    if part:
        vector = builder.lshr(vector, splat_constant(part * bits))
    return builder.and_(vector, splat_constant((2**bits - 1) * 0x01010101))


@intrinsic
def _unpack(context, packed, rest, place, shifts, byte, i):
    """Fill byte[i], uint32 [W, 16], with the codes of block ``place``, joined if two planes come.

    ``packed`` and ``rest`` are uint32 [P, V, 16], ``rest`` may be [P, 0, 16]; ``shifts`` is a tuple
    with an entry for each code in a byte.
    """

    def generate(context, builder, signature, arguments):
        names = ("packed", "rest", "place", "shifts", "byte", "i")
        code = Emitter(names, context, builder, signature, arguments)
        num_parts, num_vectors = signature.args[3].count, code.shape["packed"][1]
        first = builder.mul(code.value["place"], num_vectors)
        first_out = builder.mul(code.value["i"], code.shape["byte"][1])
        has_rest = builder.icmp_signed("!=", code.shape["rest"][1], I64(0))
        plane = builder.select(has_rest, code.pointer["rest"], code.pointer["packed"])
        weight = builder.select(has_rest, splat_constant(4), splat_constant(0))
        with cgutils.for_range(builder, num_vectors) as loop:
            place = code.times(builder.add(first, loop.index), 64)
            high = code.load("packed", place, I32_LANES)
            low = code.load_at(plane, place, I32_LANES)
            for part in range(num_parts):
                codes = one_code(builder, high, part, 8 // num_parts)
                lower = one_code(builder, low, part, 8 // num_parts)
                out = code.plus(code.times(loop.index, num_parts), part)
                # Without a second plane the first is joined with itself, which changes nothing.
                joined = builder.or_(builder.shl(codes, weight), lower)
                code.store("byte", code.times(builder.add(first_out, out), 64), joined)
        return context.get_dummy_value()

    return types.void(packed, rest, place, shifts, byte, i), generate


def _plain_unpack(packed, rest, place, shifts, byte, i):
    """Do the same in NumPy."""
    mask = (2 ** (8 // len(shifts)) - 1) * 0x01010101
    parts = np.stack([packed[place] >> shift & mask for shift in shifts], axis=1)
    if rest.shape[1]:
        parts = parts << 4 | np.stack([rest[place] >> shift & mask for shift in shifts], axis=1)
    byte[i] = parts.reshape(byte[i].shape)


unpack = _plain_unpack if config.DISABLE_JIT else _unpack
