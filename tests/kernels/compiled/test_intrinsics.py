"""Every dot instruction sums the same whole numbers; what this processor lacks is compiled only."""

import ctypes

import numba
import numpy as np
import pytest
from llvmlite import binding, ir
from numba import config

from cmpc_kernels.compiled import code_tiles, intrinsics, unpacking
from cmpc_kernels.compiled.intrinsics import I32_LANES, LANES, dot_instruction, emit_dot

NEEDS = {
    "vnni512": {"avx512f", "avx512vnni"},
    "vnni256": {"avx512vl", "avx512vnni"},  # the same instruction, in AVX-512's coding
    "avx2": {"avx2"},
    "sdot": set(),  # compiles_to_sdot tells
    "portable": set(),
}


def written_dot(instruction, largest_pair=None):
    """Return a module whose function dot(sums, codes, queries) adds to the sums."""
    module = ir.Module(name=instruction)
    arguments = [I32_LANES.as_pointer()] * 3
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), "dot")
    builder = ir.IRBuilder(function.append_basic_block())
    vectors = [builder.load(argument, align=1) for argument in function.args]
    total = emit_dot(builder, instruction, *vectors, largest_pair)
    builder.store(total, function.args[0], align=1)
    builder.ret_void()
    return str(module)


def compiled_dot(instruction, largest_pair=None):
    binding.initialize_native_target()  # as Numba does where it compiles
    binding.initialize_native_asmprinter()
    triple, name = binding.get_process_triple(), binding.get_host_cpu_name()
    features = binding.get_host_cpu_features()
    is_there = all(features.get(feature) for feature in NEEDS[instruction])
    if instruction == "sdot":
        is_there = intrinsics.compiles_to_sdot(triple, name, features.flatten())
    if not is_there:
        pytest.skip(f"this processor has no {instruction}")
    machine = binding.Target.from_triple(triple).create_target_machine(
        cpu=name, features=features.flatten(), jit=True
    )
    engine = binding.create_mcjit_compiler(
        binding.parse_assembly(written_dot(instruction, largest_pair)), machine
    )
    engine.finalize_object()
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(engine.get_function_address("dot"))
    return engine, call


@pytest.mark.parametrize("instruction", NEEDS)
def test_products_are_summed_exactly_at_the_extremes_too(instruction, rng):
    engine, dot = compiled_dot(instruction)
    extremes = np.repeat(np.array([[255, 127], [255, -127], [0, -127], [255, -128]]), 4, axis=0)
    for code, query in [
        (extremes[:, :1].repeat(4, 1), extremes[:, 1:].repeat(4, 1)),
        (rng.integers(0, 256, (LANES, 4)), rng.integers(-127, 128, (LANES, 4))),
    ]:
        code, query = code.astype(np.uint8), query.astype(np.int8)
        if instruction == "sdot":
            code = (code ^ 128).view(np.int8)  # as signed ones, 128 lower
        sums = rng.integers(-(2**29), 2**29, LANES, dtype=np.int32)
        expected = sums + (code.astype(np.int64) * query).sum(axis=1)
        dot(sums.ctypes.data, code.ctypes.data, query.ctypes.data)
        np.testing.assert_array_equal(sums, expected)
    assert engine


@pytest.mark.parametrize(("code", "query"), [(15, 127), (255, 63), (1, 127)])
def test_pairs_of_products_that_fit_16_bits_are_summed_exactly_by_avx2(code, query, rng):
    engine, dot = compiled_dot("avx2", 2 * code * query)
    for sign in (1, -1):
        codes = np.full((LANES, 4), code, np.uint8)
        queries = np.full((LANES, 4), sign * query, np.int8)
        sums = np.zeros(LANES, np.int32)
        dot(sums.ctypes.data, codes.ctypes.data, queries.ctypes.data)
        assert (sums == sign * 4 * code * query).all()
    assert engine


def test_avx2_takes_its_fast_instruction_only_where_a_pair_can_not_saturate():
    for largest_pair, is_fast in [(2**15 - 1, True), (2**15, False), (None, False)]:
        assert ("pmadd.ub.sw" in written_dot("avx2", largest_pair)) == is_fast


@pytest.mark.parametrize(
    ("instruction", "triple", "features", "mnemonic"),
    [
        ("sdot", "aarch64-unknown-linux-gnu", "+dotprod", "sdot\t"),
        ("portable", "aarch64-unknown-linux-gnu", "", "mla\t"),
        ("vnni512", "x86_64-unknown-linux-gnu", "+avx512f,+avx512bw,+avx512vnni", "vpdpbusd"),
        ("vnni256", "x86_64-unknown-linux-gnu", "+avx2,+avxvnni", "vpdpbusd"),
        ("avx2", "x86_64-unknown-linux-gnu", "+avx2", "vpmaddwd"),
    ],
)
def test_another_processor_gets_its_own_instruction(instruction, triple, features, mnemonic):
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    machine = binding.Target.from_triple(triple).create_target_machine(features=features)

    assembly = machine.emit_assembly(binding.parse_assembly(written_dot(instruction)))

    assert mnemonic in assembly


@pytest.mark.parametrize(
    ("features", "instruction"),
    [
        ("+avx2,+avx512f,+avx512vnni", "vnni512"),
        ("+avx2,+avx512f,-avx512vnni", "avx2"),
        ("+avx2,+avxvnni", "vnni256"),
        ("+sse4.2", "portable"),
        ("+neon,+dotprod", "sdot"),
    ],
)
def test_the_features_that_numba_compiles_for_decide(features, instruction, monkeypatch):
    monkeypatch.setattr(config, "CPU_NAME", "generic")  # whose name promises nothing
    monkeypatch.setattr(config, "CPU_FEATURES", features)

    assert dot_instruction() == instruction


def test_switched_off_avx_is_not_used(monkeypatch):
    monkeypatch.setattr(config, "CPU_FEATURES", None)
    monkeypatch.setattr(config, "ENABLE_AVX", 0)

    assert dot_instruction() in {"sdot", "portable"}


@pytest.mark.parametrize(
    ("triple", "name", "features", "is_there"),
    [
        ("aarch64-unknown-linux-gnu", "neoverse-n1", "+neon,-sve", True),
        ("aarch64-unknown-linux-gnu", "generic", "+dotprod", True),
        ("aarch64-unknown-linux-gnu", "cortex-a53", "+neon", False),
        ("arm64-apple-darwin", "apple-m1", "", True),
        ("arm64-apple-darwin", "apple-m1", "-dotprod", False),
        ("x86_64-unknown-linux-gnu", "znver4", "", False),
    ],
)
def test_an_arm_processor_has_sdot_by_its_name(triple, name, features, is_there):
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()

    assert intrinsics.compiles_to_sdot(triple, name, features) == is_there


def signed_dot(builder, _, sums, codes, queries, __):
    """Do what Arm's sdot does, of which this processor may have none: both sides are signed."""
    for byte in range(4):
        left, right = intrinsics.splat_constant(24 - 8 * byte), intrinsics.splat_constant(24)
        code, query = (
            builder.ashr(builder.shl(vector, left), right) for vector in (codes, queries)
        )
        sums = builder.add(sums, builder.mul(code, query))
    return sums


@pytest.mark.skipif(config.DISABLE_JIT, reason="there is nothing compiled to compare with")
@pytest.mark.parametrize(
    ("bits", "instruction"), [(8, "sdot"), (2, "sdot"), (8, "portable"), (1, None), (4, None)]
)
def test_a_compiled_tile_lets_through_what_its_definition_does(bits, instruction, rng, monkeypatch):
    if instruction is not None:
        monkeypatch.setattr(code_tiles, "dot_instruction", lambda: instruction)
    if instruction == "sdot":
        monkeypatch.setattr(code_tiles, "emit_dot", signed_dot)
    options = {"keeps_sums": True, "has_start": True}
    scan = code_tiles._make_tile(1, 1, **options)
    compiled = numba.njit(lambda *arguments: scan(*arguments))
    shifts = tuple(range(0, 8, bits))
    packed = rng.integers(0, 2**32, (3, 5, LANES), dtype=np.uint32)
    code = rng.integers(-127, 128, (4, 5 * 4 * len(shifts)), dtype=np.int8)
    total = code.sum(axis=1, dtype=np.int32)
    fact = np.abs(rng.standard_normal((4, code_tiles.NUM_FACTS), dtype=np.float32))
    gain, offset = rng.standard_normal((2, 3, LANES), dtype=np.float32)
    bound = np.abs(rng.standard_normal((3, 4), dtype=np.float32))
    gain[1, 7] = np.nan
    start = rng.integers(-500, 500, LANES, dtype=np.int32)
    num_kept = 0
    for offsets in (offset, offset[:, :0].copy()):
        for place, b, q, stage, weight in [(0, 0, 0, 0, 4), (1, 2, 2, 1, 0), (2, 1, 1, 0, 0)]:
            arguments = (packed, place, shifts, weight, code, total, fact, q, gain, offsets, bound)
            found, expected = np.zeros((2, 1, 1), np.uint16)
            found_sums, expected_sums = start.copy(), start.copy()
            found_bound, expected_bound = np.zeros((2, 1, 1, LANES), np.float32)
            any_found = compiled((), *arguments, b, stage, found_sums, found_bound, found)
            plain = code_tiles._make_plain_tile(1, 1, **options)
            any_expected = plain((), *arguments, b, stage, expected_sums, expected_bound, expected)
            assert bool(any_found) == bool(any_expected)
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(found_sums, expected_sums)
            np.testing.assert_allclose(found_bound, expected_bound, rtol=1e-5, atol=1e-2)
            num_kept += int(expected[0, 0]).bit_count()
    assert 0 < num_kept < 6 * LANES


@pytest.mark.skipif(config.DISABLE_JIT, reason="there is nothing compiled to compare with")
@pytest.mark.parametrize("kind", ["rows", "codes alone"])
def test_a_batch_tile_lets_through_what_its_definition_does(kind, rng):
    levels, stored = code_tiles.QUERY_LEVELS, ()
    if kind == "rows":
        levels, stored = code_tiles.BATCH_LEVELS, np.empty((0, 1), np.float32)
    options = {"keeps_sums": False, "has_start": False}
    compiled = numba.njit(lambda *arguments: code_tiles.scan_batch(*arguments))
    blocks, queries = code_tiles.BATCH_BLOCKS, code_tiles.BATCH_QUERIES
    packed = rng.integers(0, 2**32, (blocks + 1, 9, LANES), dtype=np.uint32)
    packed[:, 2:5] = 2**32 - 1  # where sums of pairs are as large as they get
    code = rng.integers(-levels, levels + 1, (2 * queries, 36), dtype=np.int8)
    code[queries + 1], code[queries + 2] = levels, -levels
    fact = np.abs(rng.standard_normal((2 * queries, code_tiles.NUM_FACTS), dtype=np.float32))
    gain, offset = rng.standard_normal((2, blocks + 2, LANES), dtype=np.float32)
    bound = np.abs(rng.standard_normal((blocks + 2, 2), dtype=np.float32))
    sums, total = np.zeros(LANES, np.int32), code.sum(axis=1, dtype=np.int32)
    found, expected = np.zeros((2, blocks, queries), np.uint16)
    arguments = (packed, 1, (0,), 0, code, total, fact, queries, gain, offset, bound, 2, 0, sums)

    found_bound, expected_bound = np.zeros((2, blocks, queries, LANES), np.float32)
    compiled(stored, *arguments, found_bound, found)

    plain = code_tiles._make_plain_tile(blocks, queries, **options)
    plain(stored, *arguments, expected_bound, expected)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(found_bound, expected_bound, rtol=1e-5, atol=1e-2)
    assert 0 < np.unpackbits(expected.view(np.uint8)).mean() < 1


@pytest.mark.skipif(config.DISABLE_JIT, reason="there is nothing compiled to compare with")
@pytest.mark.parametrize(("bits", "num_planes"), [(4, 2), (4, 1), (2, 1), (1, 1)])
def test_codes_are_unpacked_as_their_definition_does(bits, num_planes, rng):
    shifts = tuple(range(0, 8, bits))
    packed = rng.integers(0, 2**32, (3, 5, LANES), dtype=np.uint32)
    rest = rng.integers(0, 2**32, (3, 5 * (num_planes - 1), LANES), dtype=np.uint32)
    found, expected = np.zeros((2, 2, 5 * len(shifts), LANES), np.uint32)

    numba.njit(lambda *arguments: unpacking.unpack(*arguments))(packed, rest, 1, shifts, found, 1)

    unpacking._plain_unpack(packed, rest, 1, shifts, expected, 1)
    np.testing.assert_array_equal(found, expected)
