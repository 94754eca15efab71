"""For which processor do we compile? What a target is, and what TVM has to be told of it.

The targets that have a name are rows of ``targets.toml``; ``table`` reads them, and those of
a user's own file. ``host`` is this machine, as its instruction-set flags tell it: two machines with
the same flags compile the same network to the same code. A cross target compiles anywhere, but is
only measured where it runs.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from cmpc_base.json_files import known_fields
from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.targets import system_calls
from cmpc_cost_models.targets.machine import cpu_flags

__all__ = ["REGISTERS", "CacheBytes", "Target", "why_not_here"]

REGISTERS = {128: 32, 256: 16, 512: 32}  # by bits: NEON and AVX-512 have 32, AVX2 has 16


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheBytes:
    """Sizes of the caches, in bytes: data and, further out, whatever they hold; 0 for none."""

    l1: int
    l2: int
    l3: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A kind of processor, in a machine that is usual for it.

    Attributes:
        triple: LLVM's name of architecture and system; also that of Debian's cross compiler.
        cpu: LLVM's name of the processor.
        features: LLVM's attributes beyond those of ``cpu``, such as ``+neon``.
        abi: LLVM's name of the calling convention; empty for the triple's own.
        required_flags: What /proc/cpuinfo must list where the code runs.
        vector_bits: Width of a vector register.
        num_cores: How many cores a network may use.
        clock_ghz: Clock of the machine described.
        peak_flops_per_cycle: float32 operations of one core, a fused multiply-add being two.
        cache_bytes: Sizes of the caches.
        memory_gb_per_s: Bandwidth of the memory, 1e9 bytes a second.
        emulator_cpu: What qemu-user calls the processor; empty where it isn't emulated.
        source: The documents that the numbers come from.
    """

    name: str
    triple: str
    cpu: str
    features: tuple[str, ...] = ()
    abi: str = ""
    required_flags: frozenset[str]
    vector_bits: int
    num_cores: int
    clock_ghz: float
    peak_flops_per_cycle: float
    cache_bytes: CacheBytes
    memory_gb_per_s: float
    emulator_cpu: str = ""
    source: str

    def __post_init__(self) -> None:
        if self.vector_bits not in REGISTERS or self.num_cores < 1:
            widths = ", ".join(map(str, REGISTERS))
            raise BadArgument(
                f"`vector_bits` must be one of {widths} and `num_cores` at least 1 for target "
                f"{self.name}, got {self.vector_bits} and {self.num_cores}"
            )
        rates = (self.clock_ghz, self.peak_flops_per_cycle, self.memory_gb_per_s)
        if min(rates) <= 0 or min(asdict(self.cache_bytes).values()) < 0:
            raise BadArgument(
                "`clock_ghz`, `peak_flops_per_cycle` and `memory_gb_per_s` must be positive and "
                f"caches not negative for target {self.name}, got {rates} and {self.cache_bytes}"
            )

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote.

        Raises:
            BadArgument: a field is unknown, missing or breaks its condition.
        """
        values = known_fields(cls, document, error=BadArgument)
        cache_bytes = known_fields(CacheBytes, values["cache_bytes"], error=BadArgument)
        try:
            return cls(
                **values
                | {
                    "features": tuple(values.get("features", ())),
                    "required_flags": frozenset(values["required_flags"]),
                    "cache_bytes": CacheBytes(**cache_bytes),
                }
            )
        except TypeError as error:
            raise BadArgument(f"a target's fields must be of their kinds: {error}") from error

    @property
    def architecture(self) -> str:
        return self.triple.partition("-")[0]

    @property
    def vector_floats(self) -> int:
        return self.vector_bits // 32

    @property
    def peak_gflops(self) -> float:
        """Float32 operations that one core may do, 1e9 a second."""
        return self.peak_flops_per_cycle * self.clock_ghz

    def to_tvm(self) -> dict[str, Any]:
        """Return the description that ``tvm.target.Target`` takes.

        Without the number of cores: no code depends on it (``tests/cost_models/test_identity.py``
        looks), and a machine that gains or loses some keeps all that was compiled for it.
        """
        given: dict[str, Any] = {
            "kind": "llvm",
            "mtriple": self.triple,
            "mcpu": self.cpu,
        }
        if self.features:
            given["mattr"] = list(self.features)
        if self.abi:
            given["mabi"] = self.abi
        if self.triple.endswith("eabihf"):
            given["mfloat-abi"] = "hard"  # TVM takes floats for soft ones, whatever the triple says
        return given

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "features": list(self.features),
            "required_flags": sorted(self.required_flags),
        }

    def why_not_here(self) -> str | None:
        """Return why this machine can't run the target's code, or ``None`` if it can."""
        return why_not_here(self.triple, self.required_flags)

    @property
    def runs_here(self) -> bool:
        """Whether this machine runs its code as it is."""
        return self.why_not_here() is None

    @property
    def is_of_this_system(self) -> bool:
        """Whether this machine's own compiler makes code for it, of whichever features."""
        return system_calls.runs_code_for(self.triple)


def why_not_here(triple: str, required_flags: frozenset[str]) -> str | None:
    """Return why this machine can't run code that needs all this, or ``None`` if it can."""
    architecture = triple.partition("-")[0]
    here = system_calls.architecture()
    if here != architecture:
        return f"it is for {architecture} processors and this one is {here}"
    if not system_calls.runs_code_for(triple):
        return f"it is for {triple} and this system is {system_calls.system_name()}"
    if required_flags and not cpu_flags():
        return "this system doesn't tell which features its processor has"
    if missing := required_flags - cpu_flags():
        return f"this processor lacks {', '.join(sorted(missing))}"
    return None
