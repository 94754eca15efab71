"""What Numba cannot say by itself: integer dot instructions, half precision, prefetching.

LLVM finds no dot instruction in a loop, so ``code_tiles.py`` writes that loop in LLVM's own
language, over vectors of 16 lanes. Only ``emit_dot`` differs between processors:

    "vnni512"   AVX-512 VNNI   vpdpbusd, 64 products an instruction
    "vnni256"   AVX-VNNI       vpdpbusd, 32
    "avx2"      AVX2           vpmaddubsw, 32, where it can't saturate; else vpmaddwd on even and
                               odd bytes
    "sdot"      Arm dotprod    sdot, 16
    "portable"  any            shifts, masks and multiplications that LLVM turns into vectors

All give the same integers. The choice follows the processor that Numba compiles for, which is
part of the key of Numba's cache on disk: a cache that moves to another processor is not used.

LLVM language reference, https://llvm.org/docs/LangRef.html; vpdpbusd, Intel 64 and IA-32 manual,
volume 2C; SDOT, Arm Architecture Reference Manual, C7.2.
"""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

import functools

import numpy as np
from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils, codegen
from numba.extending import intrinsic

__all__ = [
    "LANES",
    "as_float32",
    "call_llvm",
    "dot_instruction",
    "emit_dot",
    "lowest_bit",
    "prefetch_row",
    "splat",
    "splat_constant",
    "widen_half",
]

LANES = 16  # rows of a block, and lanes of a vector; LLVM splits vectors the machine lacks
I1, I8, I16, I32, I64 = map(ir.IntType, (1, 8, 16, 32, 64))
F32 = ir.FloatType()
I32_LANES, F32_LANES = ir.VectorType(I32, LANES), ir.VectorType(F32, LANES)
IS_X86 = binding.get_process_triple().startswith(("x86", "i686"))


def dot_instruction():
    """Return the name of the best dot instruction of the processor that Numba compiles for."""
    features, present = cpu_features(), present_features()
    if {"avx512f", "avx512vnni"} <= present:
        return "vnni512"
    for feature, instruction in (("avxvnni", "vnni256"), ("avx2", "avx2"), ("dotprod", "sdot")):
        if feature in present:
            return instruction
    target = binding.get_process_triple(), config.CPU_NAME or binding.get_host_cpu_name(), features
    return "sdot" if compiles_to_sdot(*target) else "portable"


def cpu_features():
    """Return the features of the processor that Numba compiles for, as LLVM writes them."""
    if config.CPU_FEATURES is not None:
        return config.CPU_FEATURES
    return codegen.get_host_cpu_features()  # without what NUMBA_ENABLE_AVX=0 takes away


def present_features():
    """Return the names of those that it has."""
    return {name[1:] for name in cpu_features().split(",") if name.startswith("+")}


SIGNED_DOT = """
define i32 @dot(<16 x i8> %a, <16 x i8> %b) {
  %left = sext <16 x i8> %a to <16 x i32>
  %right = sext <16 x i8> %b to <16 x i32>
  %products = mul <16 x i32> %left, %right
  %sum = call i32 @llvm.vector.reduce.add.v16i32(<16 x i32> %products)
  ret i32 %sum
}
declare i32 @llvm.vector.reduce.add.v16i32(<16 x i32>)
"""


@functools.cache
def compiles_to_sdot(triple, cpu_name, features):
    """Say whether LLVM's code for a processor has sdot.

    On Linux and macOS "dotprod" is not among the features that LLVM 22 reads off a processor: that
    follows from the processor's name, if it is known. Asked for an instruction that a processor
    lacks, LLVM ends the process; a sum of products it turns into whatever there is.
    """
    if not triple.startswith(("aarch64", "arm64")):
        return False
    target = binding.Target.from_triple(triple)
    machine = target.create_target_machine(cpu=cpu_name, features=features)
    return "sdot" in machine.emit_assembly(binding.parse_assembly(SIGNED_DOT))


def emit_dot(builder, instruction, sum_vector, code_vector, query_vector, largest_pair=None):
    """Emit lane sums of four products each: unsigned bytes of codes, signed bytes of queries.

    ``largest_pair`` is what two products may come to, if that is known. "sdot" takes the codes as
    signed: with 8 bits they come 128 lower, and the sums start higher.
    """
    if instruction == "vnni512":
        name = "llvm.x86.avx512.vpdpbusd.512"
        return call_llvm(builder, name, I32_LANES, [sum_vector, code_vector, query_vector])
    if instruction == "portable":
        return _emit_portable_dot(builder, sum_vector, code_vector, query_vector)
    width = {"vnni256": 8, "avx2": 8, "sdot": 4}[instruction]
    emit_part = {"vnni256": _emit_vnni256, "avx2": _emit_avx2, "sdot": _emit_sdot}[instruction]
    if instruction == "avx2" and largest_pair is not None and largest_pair < 2**15:
        emit_part = _emit_avx2_pairs
    parts = []
    for first in range(0, LANES, width):
        lanes = [_cut(builder, v, first, width) for v in (sum_vector, code_vector, query_vector)]
        parts.append(emit_part(builder, *lanes))
    return _join(builder, parts)


def _emit_vnni256(builder, sums, codes, queries):
    name = "llvm.x86.avx512.vpdpbusd.256"
    return call_llvm(builder, name, ir.VectorType(I32, 8), [sums, codes, queries])


def _emit_sdot(builder, sums, codes, queries):
    byte_type = ir.VectorType(I8, 16)
    parts = [builder.bitcast(vector, byte_type) for vector in (codes, queries)]
    return call_llvm(builder, "llvm.aarch64.neon.sdot.v4i32.v16i8", sums.type, [sums, *parts])


def _emit_avx2(builder, sums, codes, queries):
    words = ir.VectorType(I16, 16)
    eight = ir.Constant(words, [8] * 16)
    codes, queries = builder.bitcast(codes, words), builder.bitcast(queries, words)
    pairs = [
        (
            builder.and_(codes, ir.Constant(words, [255] * 16)),
            builder.ashr(builder.shl(queries, eight), eight),
        ),
        (builder.lshr(codes, eight), builder.ashr(queries, eight)),
    ]
    for code_words, query_words in pairs:
        arguments = [code_words, query_words]
        product = call_llvm(builder, "llvm.x86.avx2.pmadd.wd", sums.type, arguments)
        sums = builder.add(sums, product)
    return sums


def _emit_avx2_pairs(builder, sums, codes, queries):
    """Emit vpmaddubsw, which adds two products in 16 bits and stops at the largest number there."""
    byte_type, words = ir.VectorType(I8, 32), ir.VectorType(I16, 16)
    parts = [builder.bitcast(vector, byte_type) for vector in (codes, queries)]
    pairs = call_llvm(builder, "llvm.x86.avx2.pmadd.ub.sw", words, parts)
    ones = ir.Constant(words, [1] * 16)
    fours = call_llvm(builder, "llvm.x86.avx2.pmadd.wd", sums.type, [pairs, ones])
    return builder.add(sums, fours)


def _emit_portable_dot(builder, sums, codes, queries):
    for byte in range(4):
        code = builder.and_(builder.lshr(codes, splat_constant(8 * byte)), splat_constant(255))
        query = builder.ashr(
            builder.shl(queries, splat_constant(24 - 8 * byte)), splat_constant(24)
        )
        sums = builder.add(sums, builder.mul(code, query))
    return sums


def widen_half(builder, bits):
    """Emit float32 of float16, one number or a vector, from its bits; every value exactly.

    An x86 processor without F16C would call a function for it that Numba has not.
    """
    count = getattr(bits.type, "count", None)

    def of(kind):
        return kind if count is None else ir.VectorType(kind, count)

    def constant(number):
        return ir.Constant(of(I32), number if count is None else [number] * count)

    if not IS_X86 or "f16c" in present_features():
        return builder.fpext(builder.bitcast(bits, of(ir.HalfType())), of(F32))
    wide = builder.zext(bits, of(I32))
    rest = builder.shl(builder.and_(wide, constant(0x7FFF)), constant(13))
    # Exponents count from 15 there and from 127 here: times 2^112, which makes denormals right too.
    scale = builder.bitcast(constant(239 << 23), of(F32))
    finite = builder.bitcast(builder.fmul(builder.bitcast(rest, of(F32)), scale), of(I32))
    special = builder.or_(rest, constant(0x7F800000))
    is_special = builder.icmp_unsigned(">=", rest, constant(0x7C00 << 13))
    sign = builder.shl(builder.and_(wide, constant(0x8000)), constant(16))
    size = builder.select(is_special, special, finite)
    return builder.bitcast(builder.or_(size, sign), of(F32))


def call_llvm(builder, name, result_type, arguments):
    """Emit the call of one of LLVM's own functions."""
    function_type = ir.FunctionType(result_type, [argument.type for argument in arguments])
    function = builder.module.globals.get(name) or ir.Function(builder.module, function_type, name)
    return builder.call(function, arguments)


def splat(builder, value):
    """Emit a vector that holds the value in every lane."""
    vector_type = ir.VectorType(value.type, LANES)
    first = builder.insert_element(ir.Constant(vector_type, ir.Undefined), value, I32(0))
    return builder.shuffle_vector(first, first, splat_constant(0))


def splat_constant(number):
    """Return the integer vector that holds the number in every lane."""
    return ir.Constant(I32_LANES, [number] * LANES)


def _cut(builder, vector, first, width):
    indices = ir.Constant(ir.VectorType(I32, width), list(range(first, first + width)))
    return builder.shuffle_vector(vector, vector, indices)


def _join(builder, parts):
    """Concatenate vectors pair by pair."""
    while len(parts) > 1:
        width = 2 * parts[0].type.count
        indices = ir.Constant(ir.VectorType(I32, width), list(range(width)))
        parts = [
            builder.shuffle_vector(*parts[n : n + 2], indices) for n in range(0, len(parts), 2)
        ]
    return parts[0]


@intrinsic
def _as_float32(context, value):
    """Widen one number of a row: float32 as it is, float16 from its bits, which come as uint16."""

    def generate(context, builder, signature, arguments):
        if signature.args[0] == types.float32:
            return arguments[0]
        return widen_half(builder, arguments[0])

    return types.float32(value), generate


@intrinsic
def _prefetch_row(context, row_GD, g):
    """Ask for the cache lines of one row, so that rows are fetched while others are scored.

    What is no array, but several, is not fetched.
    """

    def generate(context, builder, signature, arguments):
        if isinstance(signature.args[0], types.BaseTuple):
            return context.get_dummy_value()
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        row_bytes = cgutils.unpack_tuple(builder, array.strides)[0]
        start = builder.gep(
            builder.bitcast(array.data, I8.as_pointer()),
            [builder.mul(arguments[1], row_bytes)],
            source_etype=I8,
        )
        with cgutils.for_range_slice(builder, I64(0), row_bytes, I64(64)) as (offset, _):
            line = builder.gep(start, [offset], source_etype=I8)
            hints = [I32(0), I32(3), I32(1)]  # for reading, into every level, data
            call_llvm(builder, "llvm.prefetch.p0", ir.VoidType(), [line, *hints])
        return context.get_dummy_value()

    return types.void(row_GD, g), generate


@intrinsic
def _lowest_bit(context, bits):
    """Return the place of the lowest bit of an int64 that has one."""

    def generate(context, builder, signature, arguments):
        return call_llvm(builder, "llvm.cttz.i64", I64, [arguments[0], ir.Constant(I1, 1)])

    return types.int64(types.int64), generate


if config.DISABLE_JIT:  # the loops are plain Python then

    def as_float32(value):
        """Widen one number of a row."""
        return np.float32(value.view(np.float16) if value.dtype == np.uint16 else value)

    def lowest_bit(bits):
        """Return the place of the lowest bit of an integer that has one."""
        return (int(bits) & -int(bits)).bit_length() - 1

    def prefetch_row(row_GD, g):
        """Do nothing: caches are not Python's."""
else:
    as_float32, lowest_bit, prefetch_row = _as_float32, _lowest_bit, _prefetch_row
