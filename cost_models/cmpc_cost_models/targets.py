"""For which processor do we compile? The targets by name, and what TVM has to be told of each.

``host`` is this machine, as its instruction-set flags tell it: two machines with the same flags
compile the same network to the same code. A cross target compiles anywhere, but is only measured
where it runs.
"""

import difflib
import os
import platform
from dataclasses import dataclass
from typing import Any, Self

from cmpc_cost_models.errors import UnknownTarget
from cmpc_cost_models.machine import cpu_flags

__all__ = ["ALIASES", "Target", "target_names"]

X86_64 = "x86_64-linux-gnu"
AARCH64 = "aarch64-linux-gnu"

# What the levels of the x86-64 psABI add, in the spelling of /proc/cpuinfo ("abm" holds lzcnt).
X86_64_V2 = frozenset({"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"})
X86_64_V3 = X86_64_V2 | {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"}
X86_64_V4 = X86_64_V3 | {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"}
ARMV8_0 = frozenset({"asimd", "fp"})
ARMV8_2 = ARMV8_0 | {"asimddp", "asimdhp", "atomics", "fphp"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A kind of processor.

    Attributes:
        triple: LLVM's name of architecture and system.
        cpu: LLVM's name of the processor.
        required_flags: What /proc/cpuinfo must list where the code runs.
        vector_bits: Width of a vector register.
        num_cores: How many cores a network may use.
    """

    name: str
    triple: str
    cpu: str
    required_flags: frozenset[str]
    vector_bits: int
    num_cores: int

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the target called ``name``.

        Raises:
            UnknownTarget: no target has this name.
        """
        if name == "host":
            return cls(**_host())
        known = ALIASES.get(name, name)
        if known not in _TARGETS:
            near = difflib.get_close_matches(name, target_names(), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UnknownTarget(
                f"no target is called {name!r}; choose one of {', '.join(target_names())}{hint}"
            )
        return cls(name=known, **_TARGETS[known])

    @property
    def architecture(self) -> str:
        return self.triple.partition("-")[0]

    @property
    def vector_floats(self) -> int:
        return self.vector_bits // 32

    def to_tvm(self) -> dict[str, Any]:
        """Return the description that ``tvm.target.Target`` takes."""
        return {
            "kind": "llvm",
            "mtriple": self.triple,
            "mcpu": self.cpu,
            "num-cores": self.num_cores,
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "triple": self.triple,
            "cpu": self.cpu,
            "required_flags": sorted(self.required_flags),
            "vector_bits": self.vector_bits,
            "num_cores": self.num_cores,
        }

    def why_not_here(self) -> str | None:
        """Return why this machine can't run the target's code, or ``None`` if it can."""
        return why_not_here(self.architecture, self.required_flags)


def why_not_here(architecture: str, required_flags: frozenset[str]) -> str | None:
    """Return why this machine can't run code that needs all this, or ``None`` if it can."""
    if platform.machine() != architecture:
        return f"it needs a {architecture} processor and this one is {platform.machine()}"
    if missing := required_flags - cpu_flags():
        return f"this processor lacks {', '.join(sorted(missing))}"
    return None


def target_names() -> tuple[str, ...]:
    """Return every name that ``Target.named`` takes."""
    return ("host", *_TARGETS, *ALIASES)


def _x86_64(level: int, flags: frozenset[str], vector_bits: int) -> dict[str, Any]:
    return {
        "triple": X86_64,
        "cpu": f"x86-64-v{level}",
        "required_flags": flags,
        "vector_bits": vector_bits,
        "num_cores": os.cpu_count() or 1,
    }


def _aarch64(cpu: str, flags: frozenset[str], num_cores: int) -> dict[str, Any]:
    return {
        "triple": AARCH64,
        "cpu": cpu,
        "required_flags": flags,
        "vector_bits": 128,
        "num_cores": num_cores,
    }


# Core counts of the usual boards: Raspberry Pi 3, 4 and 5, and a small cloud instance.
_TARGETS = {
    "x86-64-v2": _x86_64(2, X86_64_V2, 128),
    "x86-64-v3": _x86_64(3, X86_64_V3, 256),
    "x86-64-v4": _x86_64(4, X86_64_V4, 512),
    "cortex-a53": _aarch64("cortex-a53", ARMV8_0, 4),
    "cortex-a72": _aarch64("cortex-a72", ARMV8_0, 4),
    "cortex-a76": _aarch64("cortex-a76", ARMV8_2, 4),
    "neoverse-n1": _aarch64("neoverse-n1", ARMV8_2, 4),
}
ALIASES = {"arm": "cortex-a72"}


def _host() -> dict[str, Any]:
    """Return the best target that this machine runs, under the name ``host``."""
    num_cores = os.cpu_count() or 1
    if platform.machine() == "aarch64":
        cpu, flags = ("neoverse-n1", ARMV8_2) if cpu_flags() >= ARMV8_2 else ("cortex-a72", ARMV8_0)
        return {"name": "host"} | _aarch64(cpu, flags, num_cores)
    for name in ("x86-64-v4", "x86-64-v3", "x86-64-v2"):
        if why_not_here("x86_64", _TARGETS[name]["required_flags"]) is None:
            return {"name": "host"} | _TARGETS[name]
    raise UnknownTarget(
        "`host` must be an aarch64 or an x86-64-v2 processor, "
        f"got {platform.machine()} without {sorted(X86_64_V2 - cpu_flags())}; name a target"
    )
