"""What a search space is: a number of choices, and the network that any of their outcomes means.

A family of networks subclasses `Space` and says two things: what may be chosen, and what network
comes of it. All else (sampling, keys, counting, training as a supernet, export) follows
from these and is written once.

    choices --(an option each)--> architecture --plan--> network
                                   |
                                   '-- key, for example ``k3w1.0-k7w0.6-xcw1.2``: a word a block

Where a choice leaves blocks out (a depth), theirs have no effect: such blocks are idle. They take
the first of their options and the word ``x``, so that equal networks are one architecture.
"""

import itertools
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import asdict, dataclass
from functools import cached_property

from cmpc_base.hashing import document_hash
from cmpc_search.errors import BadArgument
from cmpc_search.space.plan import Plan

__all__ = ["Architecture", "Choice", "Option", "Space"]

Option = int | float | str | bool

IDLE = "x"  # the word of a block that is left out


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One decision about a network.

    Attributes:
        name: What a study calls it, unlike any other of its space, for example ``width_03``.
        options: What can be chosen.
        words: What keys call each option; none may contain ``-``, nor a block be called ``x``.
        block: The part of the network that it shapes. Choices of one block share a word of the
            key, and what they make together doesn't depend on other blocks.

    Raises:
        BadArgument: there is no option, or the words don't tell the options apart.
    """

    name: str
    options: tuple[Option, ...]
    words: tuple[str, ...]
    block: int

    def __post_init__(self) -> None:
        is_told_apart = len(set(self.words)) == len(self.words) == len(self.options)
        if not self.options or not is_told_apart or "-" in "".join(self.words):
            raise BadArgument(
                f"choice {self.name} must have options and for each a word of its own without '-', "
                f"got {self.options} and {self.words}"
            )


@dataclass(frozen=True, slots=True)
class Architecture:
    """One point of a space, as a value; `Space.architecture` and `Space.read` make it.

    Attributes:
        key: Its name wherever a human or a file sees it; `Space.read` reads it back.
        options: For each choice of the space the index of the option taken.
    """

    key: str
    options: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Space(ABC):
    """Every query network that a search may propose.

    Attributes:
        name: What users call it.
        input_size_px: Height and width of the input image; where architectures choose, the largest.
        embedding_dim: Length of the embedding, that of the gallery network.
    """

    name: str
    input_size_px: int
    embedding_dim: int

    @property
    @abstractmethod
    def choices(self) -> tuple[Choice, ...]:
        """What can be chosen, in the order in which it is drawn."""

    @abstractmethod
    def plan(self, architecture: Architecture) -> Plan:
        """Return the network of ``architecture``.

        Raises:
            BadArgument: it is none of this space.
        """

    def macs(self, architecture: Architecture) -> int:
        """Multiply-accumulates of ``architecture`` for one image."""
        return self.plan(architecture).macs

    def idle_blocks(self, options: Sequence[int]) -> Set[int]:
        """Return the positions in `blocks` of those that these options leave out: none, mostly.

        The last options of all choices must leave none out, and idle ones must not matter.
        """
        return frozenset()

    @property
    def sha256(self) -> str:
        """The hash of its description: a name may come to mean another space."""
        return document_hash(asdict(self))

    @property
    def largest_input_size_px(self) -> int:
        """The size at which images are prepared for all architectures, which shrink them."""
        return self.input_size_px

    @cached_property
    def blocks(self) -> tuple[tuple[int, ...], ...]:
        """The positions of the choices that belong together, block by block."""
        numbers = sorted({choice.block for choice in self.choices})
        return tuple(
            tuple(at for at, choice in enumerate(self.choices) if choice.block == number)
            for number in numbers
        )

    @property
    def num_architectures(self) -> int:
        """How many networks differ; a family with idle blocks counts them itself."""
        return math.prod(len(choice.options) for choice in self.choices)

    def architecture(self, options: Sequence[int]) -> Architecture:
        """Return the architecture that takes these options, one index a choice.

        Raises:
            BadArgument: a choice has no such option, or their number is another.
        """
        taken = list(options)
        sizes = [len(choice.options) for choice in self.choices]
        if len(taken) != len(sizes) or any(
            not 0 <= index < size for index, size in zip(taken, sizes, strict=True)
        ):
            raise BadArgument(
                f"an architecture of space {self.name!r} must take one of {sizes} options of each "
                f"choice, got the indices {tuple(taken)}"
            )
        idle = self.idle_blocks(taken)
        for number in idle:
            _take(taken, self.blocks[number], (0,) * len(self.blocks[number]))
        words = (
            IDLE if number in idle else self._word(block, [taken[at] for at in block])
            for number, block in enumerate(self.blocks)
        )
        return Architecture("-".join(words), tuple(taken))

    def read(self, key: str) -> Architecture:
        """Return the architecture of this key.

        Raises:
            BadArgument: no architecture of this space has it.
        """
        words, options = key.split("-"), [0] * len(self.choices)
        if len(words) != len(self.blocks):
            raise BadArgument(
                f"an architecture of space {self.name!r} must have {len(self.blocks)} words like "
                f"{self._first_word!r} between hyphens, got {len(words)} in {key!r}"
            )
        for block, known, word in zip(self.blocks, self._outcomes_by_word, words, strict=True):
            if word == IDLE:
                continue
            if word not in known:
                raise BadArgument(
                    f"words of an architecture of space {self.name!r} must be like "
                    f"{self._first_word!r} and of its options, got {word!r} in {key!r}"
                )
            _take(options, block, known[word])
        if (found := self.architecture(options)).key != key:
            raise BadArgument(
                f"an architecture of space {self.name!r} must have the word {IDLE!r} for blocks "
                f"that are left out and for no other, got {key!r} for {found.key!r}"
            )
        return found

    def chosen(self, architecture: Architecture) -> dict[str, Option]:
        """Return what ``architecture`` takes of each choice, by the choice's name.

        Raises:
            BadArgument: it is an architecture of another space.
        """
        if self.architecture(architecture.options) != architecture:
            raise BadArgument(f"{architecture.key} must be an architecture of space {self.name!r}")
        taken = zip(self.choices, architecture.options, strict=True)
        return {choice.name: choice.options[index] for choice, index in taken}

    def sample(self, rng: random.Random) -> Architecture:
        """Draw an architecture uniformly: a single path (Guo et al., ECCV 2020)."""
        return self.architecture([rng.randrange(len(choice.options)) for choice in self.choices])

    def covering(self) -> Iterator[Architecture]:
        """Yield architectures that together hold every outcome of every block.

        What a block is made of depends on its own choices alone, so all blocks go through their
        outcomes at once. One that has shown all keeps to the last, which leaves no other out.
        """
        left = [self._outcomes(block) for block in self.blocks]
        while True:
            options = [0] * len(self.choices)
            for block, outcomes in zip(self.blocks, left, strict=True):
                _take(options, block, outcomes[0])
            yield self.architecture(options)
            if all(len(outcomes) == 1 for outcomes in left):
                return
            for at in set(range(len(left))) - self.idle_blocks(options):
                left[at] = left[at][1:] or left[at]

    def smallest(self) -> Architecture:
        """Return the architecture of the fewest MACs, where these are a sum over the blocks."""
        return self._extreme(min)

    def largest(self, max_macs: int | None = None) -> Architecture:
        """Return the architecture of the most MACs, where these are a sum over the blocks.

        Where that takes more than ``max_macs``, one block after the other gives way: the one after
        whose change most MACs are left, or where none is enough, fewest.
        """
        found = self._extreme(max)
        while max_macs is not None and (before := self.macs(found)) > max_macs:
            changed = [one for at in range(len(self.blocks)) for one in self._neighbours(found, at)]
            macs = {one: self.macs(one) for one in changed}
            within = [one for one in changed if macs[one] <= max_macs]
            found = max(within, key=macs.__getitem__) if within else min(macs, key=macs.__getitem__)
            if macs[found] >= before:
                break  # nothing is smaller
        return found

    def changed(self, architecture: Architecture, rng: random.Random) -> Architecture:
        """Draw the choices of one block of ``architecture`` anew, and those of idle ones."""
        options, idle = list(architecture.options), self.idle_blocks(architecture.options)
        drawn = rng.choice([at for at in range(len(self.blocks)) if at not in idle])
        for position in (position for at in (drawn, *idle) for position in self.blocks[at]):
            options[position] = rng.randrange(len(self.choices[position].options))
        return self.architecture(options)

    def _extreme(self, best: Callable[..., Architecture]) -> Architecture:
        found = best(self.covering(), key=self.macs)
        for at in range(len(self.blocks)):
            found = best(self._neighbours(found, at), key=self.macs)
        return found

    def _neighbours(self, architecture: Architecture, at: int) -> list[Architecture]:
        """Return what comes of each outcome of a block."""
        block, found = self.blocks[at], []
        for taken in self._outcomes(block):
            options = list(architecture.options)
            _take(options, block, taken)
            found.append(self.architecture(options))
        return found

    def _outcomes(self, block: tuple[int, ...]) -> list[tuple[int, ...]]:
        return list(itertools.product(*(range(len(self.choices[at].options)) for at in block)))

    @cached_property
    def _outcomes_by_word(self) -> tuple[dict[str, tuple[int, ...]], ...]:
        return tuple(
            {self._word(block, taken): taken for taken in self._outcomes(block)}
            for block in self.blocks
        )

    def _word(self, block: tuple[int, ...], taken: Sequence[int]) -> str:
        pairs = zip(block, taken, strict=True)
        return "".join(self.choices[at].words[index] for at, index in pairs)

    @property
    def _first_word(self) -> str:
        return next(iter(self._outcomes_by_word[0]))


def _take(options: list[int], block: tuple[int, ...], taken: tuple[int, ...]) -> None:
    for at, index in zip(block, taken, strict=True):
        options[at] = index
