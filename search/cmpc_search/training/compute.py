"""How torch should compute here: threads, precision, memory layout.

Channels-last convolutions and, on processors that have it in hardware, bfloat16 for the large
network: on an AMD EPYC with AVX-512 BF16 the gallery network trains about twice as fast.
Small query networks gain nothing from it and stay in float32.
"""

import ctypes
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from cmpc_cost_models.targets.machine import allowed_cpus

__all__ = ["has_fast_bfloat16", "mixed_precision", "set_up_torch", "to_layout", "use_channels_last"]

# Parameters of glibc's mallopt (malloc.h) and what they are set to.
M_TRIM_THRESHOLD, NEVER_BYTES = -1, 2**31 - 1
M_TOP_PAD, GROW_BY_BYTES = -2, 2**26
M_MMAP_MAX = -4


def set_up_torch(threads: int | None) -> None:
    """Use ``threads`` threads in torch, and keep freed memory for the next step.

    None means every processor this process may use. Give one thread when something else wants the
    processors: torch's threads wait for each other, and a busy neighbour makes two of them several
    times slower than one.
    """
    torch.set_num_threads(threads or len(allowed_cpus()))
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Ask glibc not to give freed memory back; other C libraries go on as they do.

    A training step frees and takes the same megabytes again and again, and each time the system
    hands them out anew, page by page and zeroed: a quarter of the time of a small network's step.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, NEVER_BYTES)
        mallopt(M_TOP_PAD, GROW_BY_BYTES)


def has_fast_bfloat16() -> bool:
    """Tell whether this processor multiplies bfloat16 in hardware."""
    flags = ("avx512_bf16", "amx_bf16", "bf16")
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            words = set(file.read().split())
    except OSError:
        return False
    return any(flag in words for flag in flags)


def mixed_precision(*, enabled: bool) -> AbstractContextManager[object]:
    """Return a context in which convolutions and products run in bfloat16, if ``enabled``."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled)


def to_layout(images: Tensor) -> Tensor:
    """Return ``images`` [N, C, H, W] with their channels last in memory."""
    return images.contiguous(memory_format=torch.channels_last)


def use_channels_last(network: nn.Module) -> None:
    """Keep the weights of ``network`` in the layout of `to_layout`."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
