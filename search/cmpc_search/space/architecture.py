"""One point of a search space, as a value: hashable, comparable, and a short text.

The text is the name of the point everywhere a human or a file sees it, for example
``k3w1.0-k7w0.6-xcw1.2``: one word a block, its operator and its middle width's factor.
"""

import re
from dataclasses import dataclass

from cmpc_search.errors import BadArgument

__all__ = ["BLOCK_NAMES", "Architecture"]

# The SPOS block codes 0 to 3 (Guo et al., ECCV 2020): three ShuffleNetV2 units and an Xception one.
BLOCK_NAMES = ("k3", "k5", "k7", "xc")
# Wider than any use, and every float between them prints without an exponent, as keys need.
_SMALLEST_WIDTH, _GREATEST_WIDTH = 0.001, 1000.0
_WORD = re.compile(r"(k3|k5|k7|xc)w([0-9]+\.[0-9]+)")


@dataclass(frozen=True, slots=True)
class Architecture:
    """The choice made at every block: operator code and middle-width factor.

    Attributes:
        blocks: One SPOS block code a block: 0, 1, 2 are ShuffleNetV2 units with 3x3, 5x5 and 7x7
            depthwise convolutions, 3 is the Xception-like unit.
        widths: One factor a block; the middle width is ``int(out_channels // 2 * factor)``.

    Raises:
        BadArgument: the two differ in length, are empty, a code is unknown or a width absurd.
    """

    blocks: tuple[int, ...]
    widths: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.blocks or len(self.blocks) != len(self.widths):
            raise BadArgument(
                "an architecture must have one width for each of its blocks, "
                f"got {len(self.blocks)} blocks and {len(self.widths)} widths"
            )
        if unknown := set(self.blocks) - set(range(len(BLOCK_NAMES))):
            raise BadArgument(f"block codes must lie in 0..3, got {sorted(unknown)}")
        absurd = [one for one in self.widths if not _SMALLEST_WIDTH <= one <= _GREATEST_WIDTH]
        if absurd:
            raise BadArgument(
                f"widths must lie in {_SMALLEST_WIDTH}..{_GREATEST_WIDTH:.0f}, got {absurd}"
            )

    @property
    def key(self) -> str:
        """The architecture as text; `from_key` reads it back."""
        words = zip(self.blocks, self.widths, strict=True)
        return "-".join(f"{BLOCK_NAMES[block]}w{float(width)}" for block, width in words)

    @classmethod
    def from_key(cls, key: str) -> "Architecture":
        """Read what `key` wrote.

        Raises:
            BadArgument: a word of ``key`` is not an operator and a width.
        """
        matches = [_WORD.fullmatch(word) for word in key.split("-")]
        words = [match for match in matches if match is not None]
        if len(words) != len(matches):
            raise BadArgument(
                f"an architecture must read like 'k3w1.0-xcw0.6', one word a block, got {key!r}"
            )
        return cls(
            blocks=tuple(BLOCK_NAMES.index(word[1]) for word in words),
            widths=tuple(float(word[2]) for word in words),
        )
