"""Write compiled code in LLVM's own language, where Numba's is too poor.

An emitter knows the arguments of one intrinsic by name: an array's first byte and shape, an
integer's value. Offsets are in bytes; loads and stores need no alignment.
"""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

from numba import types
from numba.core import cgutils

from cmpc_kernels.compiled.intrinsics import I8, I64

__all__ = ["Emitter"]


class Emitter:
    """One intrinsic's code, while it is being written."""

    def __init__(self, names, context, builder, signature, arguments):
        self.builder = builder
        self.pointer, self.shape, self.value = {}, {}, {}
        for name, kind, value in zip(names, signature.args, arguments, strict=True):
            if isinstance(kind, types.Array):
                array = context.make_array(kind)(context, builder, value)
                self.pointer[name] = builder.bitcast(array.data, I8.as_pointer())
                self.shape[name] = cgutils.unpack_tuple(builder, array.shape)
            elif isinstance(kind, types.Integer):
                self.value[name] = context.cast(builder, value, kind, types.int64)

    def plus(self, value, constant):
        """Emit a sum with a constant."""
        return self.builder.add(value, I64(constant))

    def times(self, value, constant):
        """Emit a product with a constant."""
        return self.builder.mul(value, I64(constant))

    def load(self, name, offset_bytes, value_type):
        """Emit the reading of a value from an array."""
        return self.load_at(self.pointer[name], offset_bytes, value_type)

    def load_at(self, pointer, offset_bytes, value_type):
        """Emit the reading of a value behind a pointer."""
        return self.builder.load(self._address(pointer, offset_bytes, value_type), align=1)

    def store(self, name, offset_bytes, value):
        """Emit the writing of a value to an array."""
        address = self._address(self.pointer[name], offset_bytes, value.type)
        self.builder.store(value, address, align=1)

    def _address(self, pointer, offset_bytes, value_type):
        address = self.builder.gep(pointer, [offset_bytes], source_etype=I8)
        return self.builder.bitcast(address, value_type.as_pointer())
