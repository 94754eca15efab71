"""A space and a scorer small enough to reason about, with the real package's interfaces."""

from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

from cmpc_search.space.base import Architecture, Choice, Space
from cmpc_search.study.records import Accuracy, CandidateScore

__all__ = ["ToySpace", "toy_score"]


@dataclass(frozen=True, kw_only=True)
class ToySpace(Space):
    """Cost grows with the width and the code of each block; both are exact by hand."""

    name: str = "toy"
    input_size_px: int = 1
    embedding_dim: int = 1
    num_blocks: int = 4
    codes: tuple[int, ...] = (0, 1, 2, 3)
    widths: tuple[float, ...] = (0.6, 1.0, 1.4)

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        names = tuple(("k3", "k5", "k7", "xc")[code] for code in self.codes)
        factors = tuple(f"w{width}" for width in self.widths)
        return tuple(
            Choice(name=f"{kind}_{at:02d}", options=options, words=words, block=at)
            for kind, options, words in (
                ("block", self.codes, names),
                ("width", self.widths, factors),
            )
            for at in range(self.num_blocks)
        )

    def plan(self, architecture: Architecture) -> NoReturn:
        raise NotImplementedError

    def macs(self, architecture: Architecture) -> int:
        pairs = zip(self.codes_of(architecture), self.widths_of(architecture), strict=True)
        return sum((code + 1) * round(10 * width) for code, width in pairs)

    def codes_of(self, architecture: Architecture) -> list[int]:
        return [self.codes[option] for option in architecture.options[: self.num_blocks]]

    def widths_of(self, architecture: Architecture) -> list[float]:
        return [self.widths[option] for option in architecture.options[self.num_blocks :]]


def toy_score(architecture: Architecture, space: ToySpace = ToySpace()) -> CandidateScore:
    macs = space.macs(architecture)
    codes, widths = space.codes_of(architecture), space.widths_of(architecture)
    reward = sum(widths) / 10 - codes[0] / 100
    return CandidateScore(
        architecture=architecture.key,
        heterogeneous=Accuracy(top1=reward, top10=1.0, mean_average_precision=0.5),
        reward_name="heterogeneous",
        reward=reward,
        macs=macs,
        parameters=2 * macs,
        latency={"value": macs / 10, "unit": "ms", "source": "measured", "spread": 0.1},
        seconds=0.001,
    )
