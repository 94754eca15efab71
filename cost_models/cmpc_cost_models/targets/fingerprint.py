"""Which machine is it, as far as times depend on that? Read from what its system tells.

Code is made for a target, times are not: two boards of one target differ in the governor of their
clocks, two hosts of one target in their processor's model. So whatever was timed belongs to a
fingerprint, and is compared only with what has the same ``key``.
"""

import hashlib
from collections.abc import Mapping

from cmpc_cost_models.records.evidence import Fingerprint
from cmpc_cost_models.targets.system_files import SystemFiles

__all__ = ["features_of", "fingerprint_of"]

CPU_INFO = "/proc/cpuinfo"
KERNEL = "/proc/sys/kernel/osrelease"
GOVERNOR = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
BOOST = "/sys/devices/system/cpu/cpufreq/boost"
NO_TURBO = "/sys/devices/system/cpu/intel_pstate/no_turbo"


def fingerprint_of(files: SystemFiles, *, architecture: str) -> Fingerprint:
    """Return the fingerprint of the machine whose files these are."""
    texts = files.read(CPU_INFO, KERNEL, GOVERNOR, BOOST, NO_TURBO)
    info = _cpu_info(texts)
    flags = _flags(info)
    return Fingerprint(
        cpu_model=info.get("model name") or info.get("CPU part") or architecture,
        architecture=architecture,
        num_cores=_num_cores(texts),
        features_sha256=hashlib.sha256(" ".join(sorted(flags)).encode()).hexdigest()[:16],
        governor=_line(texts, GOVERNOR),
        has_turbo=_has_turbo(texts),
        is_virtual="hypervisor" in flags if flags else None,
        kernel=_line(texts, KERNEL),
    )


def features_of(files: SystemFiles) -> frozenset[str]:
    """Return the instruction-set flags that the system lists; none where it lists none."""
    return _flags(_cpu_info(files.read(CPU_INFO)))


def _cpu_info(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the first processor's entry of /proc/cpuinfo; the others only repeat it."""
    first = texts.get(CPU_INFO, "").split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _flags(info: Mapping[str, str]) -> frozenset[str]:
    return frozenset((info.get("flags") or info.get("Features") or "").split())


def _num_cores(texts: Mapping[str, str]) -> int | None:
    lines = texts.get(CPU_INFO, "").splitlines()
    return sum(line.partition(":")[0].strip() == "processor" for line in lines) or None


def _has_turbo(texts: Mapping[str, str]) -> bool | None:
    if (boost := _line(texts, BOOST)) is not None:
        return boost == "1"
    no_turbo = _line(texts, NO_TURBO)
    return None if no_turbo is None else no_turbo == "0"


def _line(texts: Mapping[str, str], path: str) -> str | None:
    return texts.get(path, "").strip() or None
