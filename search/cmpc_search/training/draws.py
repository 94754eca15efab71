"""Random numbers of views: a function of a seed, a view's number and how many were drawn before.

A generator that is advanced gives a view other numbers in another batch. These are counted instead:
each number is the hash of its place (SplitMix64; Steele, Lea and Flood, OOPSLA 2014), so a view can
be made again at any time, in any company, in any process and on any device.

Shapes: N views.
"""

import math

import torch
from torch import Tensor

__all__ = ["Draws"]

# Constants of SplitMix64, as signed 64-bit numbers: torch's integers wrap around as it needs.
GAMMA = 0x9E3779B97F4A7C15 - 2**64
FIRST_FACTOR = 0xBF58476D1CE4E5B9 - 2**64
SECOND_FACTOR = 0x94D049BB133111EB - 2**64

CALL_STRIDE = 2**32  # numbers that one call may draw for a view
FLOAT_BITS = 24  # what a float32 holds exactly


class Draws:
    """Numbers drawn for a batch of views; a view's depend on nothing but its own number.

    Args:
        seed: Decides all numbers.
        numbers: int64 [N], those of the views, zero or more.
        device: Where the numbers are drawn; None is where ``numbers`` are.
    """

    def __init__(
        self, seed: int, numbers: Tensor, device: torch.device | str | None = None
    ) -> None:
        key = _mixed(torch.tensor(seed) + GAMMA)
        # Mixed twice: views of neighbouring numbers begin far apart.
        self._states = _mixed(_mixed(key.to(numbers.device) + numbers)).to(device or numbers.device)
        self._num_calls = 0

    def __len__(self) -> int:
        return len(self._states)

    @property
    def device(self) -> torch.device:
        """Where the numbers are drawn."""
        return self._states.device

    def uniform(self, *shape: int) -> Tensor:
        """Draw float32 [N, *shape] evenly from [0, 1): multiples of 2^-24."""
        return (self._bits(*shape) >> (32 - FLOAT_BITS)).to(torch.float32) * 2.0**-FLOAT_BITS

    def between(self, least: float, most: float, *shape: int) -> Tensor:
        """Draw float32 [N, *shape] evenly from ``least`` to ``most``."""
        return self.uniform(*shape) * (most - least) + least

    def happens(self, share: float) -> Tensor:
        """Draw bool [N], of which a ``share`` is true."""
        return self.uniform() < share

    def below(self, limit: int, *shape: int) -> Tensor:
        """Draw int64 [N, *shape] evenly from 0 to ``limit`` - 1, for limits up to 2^31."""
        return (self._bits(*shape) * limit) >> 32

    def _bits(self, *shape: int) -> Tensor:
        """Draw int64 [N, *shape] of 32 random bits each."""
        first = self._num_calls * CALL_STRIDE + 1
        self._num_calls += 1
        places = torch.arange(first, first + math.prod(shape), device=self._states.device)
        drawn = _mixed(self._states[:, None] + places * GAMMA)
        return _shifted(drawn, 32).view(len(self), *shape)


def _mixed(values: Tensor) -> Tensor:
    """Hash int64 numbers, one to one: the finaliser of SplitMix64."""
    values = (values ^ _shifted(values, 30)) * FIRST_FACTOR
    values = (values ^ _shifted(values, 27)) * SECOND_FACTOR
    return torch.bitwise_xor(values, _shifted(values, 31))


def _shifted(values: Tensor, num_bits: int) -> Tensor:
    """Shift to the right and fill with zeros; torch's own shift fills with the sign."""
    return torch.bitwise_and(values >> num_bits, 2 ** (64 - num_bits) - 1)
