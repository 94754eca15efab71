"""Where does torch compute, and how precisely? The only file that names devices and their ways.

Everything above asks a `Compute`, most often the one that `here` gives: it places images and
networks and opens the narrower arithmetic. Images and convolutions keep their
channels last in memory, and large networks compute in bfloat16 on processors that have it in
hardware: on an AMD EPYC with AVX-512 BF16 the gallery network trains about twice as fast. Small
query networks gain nothing and stay in float32.

The same seed gives the same run on one device; devices differ by rounding.

Several processes may train one network: each takes some of the micro-batches of every step. They
hold the same weights from the first step on, because they draw the same ones and step along the
mean of their gradients. A micro-batch has its own batch-norm statistics wherever it is computed, so
the number of processes decides no more than rounding. `processes` starts them.

No part of the CUDA way ever ran where this was written: a fake device stands in for it in the
tests, which show that nothing is computed that was not placed.
"""

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from cmpc_cost_models.targets.machine import cpu_flags
from cmpc_cost_models.targets.system_calls import allowed_cpus
from cmpc_search.errors import BadArgument

__all__ = [
    "CPU",
    "Compute",
    "here",
    "set_up_torch",
    "set_up_torch_as",
    "spare_threads",
    "use_one_thread",
]

Module = TypeVar("Module", bound=nn.Module)

IMAGE_DIMENSIONS = 4  # [N, C, H, W]
MOST_PROCESSES = 8  # of their own accord: what each adds shrinks, and each takes memory
WORTHWHILE_STEPS = 150  # to start processes takes as long as some tens of steps of a small network
MOST_SPARE_THREADS = 8  # each holds some batches of images

TORCHRUN = {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}  # its variables, and what is without it

# Parameters of glibc's mallopt (malloc.h) and what they are set to.
M_TRIM_THRESHOLD, NEVER_BYTES = -1, 2**31 - 1
M_TOP_PAD, GROW_BY_BYTES = -2, 2**26
M_MMAP_MAX = -4


@dataclass(frozen=True, slots=True)
class Compute:
    """A device that torch computes on.

    Attributes:
        device: As torch names it.
        has_fast_bfloat16: Whether `autocast` narrows; None asks the processor, and no other device.
        rank, world: Which process this is, from 0, and of how many.
        threads: How many processors it may keep busy.
        processes: How many processes may train one network; None: one for each thread where a
            training is long enough to be worth their start.
    """

    device: str = "cpu"
    has_fast_bfloat16: bool | None = None
    rank: int = 0
    world: int = 1
    threads: int = 1
    processes: int | None = 1

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and tells."""
        return self.rank == 0

    @property
    def precision(self) -> str:
        """The type in which `autocast` multiplies: bfloat16 or float32."""
        is_fast = self.has_fast_bfloat16
        if is_fast is None:
            is_fast = torch.cuda.is_bf16_supported() if self._is_cuda else _has_bfloat16()
        return "bfloat16" if is_fast else "float32"

    @property
    def embeds_with_torch(self) -> bool:
        """Whether torch runs a trained network faster than ONNX Runtime does: not on processors.

        There only dense networks are faster in torch, and only in bfloat16. An EfficientNet-lite0
        at 128 px takes a third of the time in ONNX Runtime on an AMD EPYC with AVX-512, where torch
        computes in bfloat16, and a sixth of it beside torch's float32.
        """
        return self._is_cuda

    @property
    def onnx_providers(self) -> list[str]:
        """Where ONNX Runtime computes, the best first; it passes over those it was built without.

        The one that cmpc installs knows processors alone.
        """
        first = ["CUDAExecutionProvider"] if self._is_cuda else []
        return [*first, "CPUExecutionProvider"]

    @property
    def group_backend(self) -> str:
        """What carries the gradients between processes."""
        return "nccl" if self._is_cuda else "gloo"

    @property
    def _is_cuda(self) -> bool:
        return torch.device(self.device).type == "cuda"

    def processes_for(self, num_parts: int, num_steps: int) -> int:
        """Return how many processes shall train together: a divisor of a step's micro-batches."""
        most = self.processes
        if most is None:
            is_short = self._is_cuda or num_steps < WORTHWHILE_STEPS
            most = 1 if is_short else min(self.threads, MOST_PROCESSES)
        return max(count for count in range(1, most + 1) if num_parts % count == 0)

    def place(self, tensor: Tensor) -> Tensor:
        """Return ``tensor`` on the device; images [N, C, H, W] with their channels last."""
        if tensor.ndim != IMAGE_DIMENSIONS:
            return tensor.to(self.device)
        return tensor.to(self.device, memory_format=torch.channels_last)

    def place_network(self, network: Module) -> Module:
        """Move ``network`` to the device and lay its weights out as `place` does images."""
        moved: Module = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return moved

    @contextmanager
    def hosting(self, network: Module) -> Iterator[Module]:
        """Have ``network`` on the device for the time of the block."""
        home = next((weight.device for weight in network.parameters()), None)
        yield self.place_network(network)
        network.to(home)

    def autocast(self) -> AbstractContextManager[object]:
        """Return a context in which convolutions and products run in `precision`."""
        is_narrow = self.precision == "bfloat16"
        kind = torch.device(self.device).type
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=is_narrow)

    def parts(self, num_parts: int) -> range:
        """Return which of the micro-batches of a step are this process's."""
        return range(self.rank, num_parts, self.world)

    def all_parts(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """Return the rows of all micro-batches of a step, given those of this process's.

        Each [n, ...], in their order in the step; every process has as many micro-batches.
        """
        if self.world == 1:
            return list(parts)
        sizes = self.place(torch.zeros(len(parts) * self.world, dtype=torch.int64))
        sizes[self.rank :: self.world] = torch.tensor([len(part) for part in parts])
        distributed.all_reduce(sizes)
        table = parts[0].new_zeros((len(sizes), int(sizes.max()), *parts[0].shape[1:]))
        for number, part in zip(self.parts(len(sizes)), parts, strict=True):
            table[number, : len(part)] = part
        distributed.all_reduce(table)
        return [rows[:size] for rows, size in zip(table, sizes.tolist(), strict=True)]

    def average(self, tensors: Sequence[Tensor], num_parts: int) -> None:
        """Make sums over this process's micro-batches means over all ``num_parts``, in place."""
        if self.world > 1:
            together = torch.cat(
                [tensor.reshape(-1) for tensor in tensors]
            )  # one message, not many
            distributed.all_reduce(together)
            sums = torch.split(together, [tensor.numel() for tensor in tensors])
            for tensor, total in zip(tensors, sums, strict=True):
                tensor.copy_(total.view_as(tensor))
        for tensor in tensors:
            tensor /= num_parts


CPU = Compute()
"""This machine's processor: where everything computes unless somebody says otherwise."""


_here = CPU


def here() -> Compute:
    """Return where this process computes unless it is told otherwise: what it was set up with."""
    return _here


def set_up_torch(
    threads: int | None = None, *, device: str | None = None, processes: int | None = None
) -> Compute:
    """Set up where this process computes, and return it.

    Args:
        threads: How many processors to keep busy; None means all that this process may use. Give
            one when something else wants them: torch's threads wait for each other, and a busy
            neighbour makes two of them several times slower than one.
        device: As torch names it; None takes CUDA's if there is one.
        processes: See `Compute`.

    Raises:
        BadArgument: torch knows no such device, or this machine has none.
    """
    place, neighbours = (int(os.environ.get(name, default)) for name, default in TORCHRUN.items())
    found = device or (f"cuda:{place}" if torch.cuda.is_available() else "cpu")
    _check_device(found)
    threads = threads or max(1, len(allowed_cpus()) // neighbours)
    return set_up_torch_as(Compute(device=found, threads=threads, processes=processes))


def set_up_torch_as(compute: Compute) -> Compute:
    """Compute as ``compute`` says from now on, and keep freed memory for the next step."""
    global _here
    torch.set_num_threads(compute.threads)
    if torch.device(compute.device).type == "cuda":
        torch.cuda.set_device(compute.device)
    _keep_freed_memory()
    _here = compute
    return compute


def _check_device(name: str) -> None:
    there = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    there += [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if name not in there:
        raise BadArgument(
            f"networks must be computed on {', '.join(there)}, where torch can here, got {name}"
        )


def use_one_thread() -> None:
    """Let torch use one thread for what the calling thread computes; others keep theirs."""
    torch.set_num_threads(1)


def spare_threads() -> int:
    """Return how many threads may work ahead of this one: none if torch has but one."""
    num_threads = torch.get_num_threads()
    return min(num_threads, MOST_SPARE_THREADS) if num_threads > 1 else 0


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


def _has_bfloat16() -> bool:
    """Tell whether this processor multiplies bfloat16 in hardware, and torch may use that."""
    if torch.backends.cpu.get_cpu_capability() == "AVX2":  # ATEN_CPU_CAPABILITY, or older
        return False
    return not cpu_flags().isdisjoint(("avx512_bf16", "amx_bf16", "bf16"))
