"""A space and a scorer small enough to reason about, with the real package's interfaces."""

from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

from cmpc_search.space import Architecture, Choice, Space
from cmpc_search.study import Accuracy, CandidateScore


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

    def layers(self, architecture: Architecture) -> NoReturn:
        raise NotImplementedError

    def macs(self, architecture: Architecture) -> int:
        values = list(self.chosen(architecture).values())
        pairs = zip(values[: self.num_blocks], values[self.num_blocks :], strict=True)
        return sum((code + 1) * round(10 * width) for code, width in pairs)


def toy_score(architecture: Architecture, space: ToySpace = ToySpace()) -> CandidateScore:
    macs = space.macs(architecture)
    chosen = list(space.chosen(architecture).values())
    reward = sum(chosen[space.num_blocks :]) / 10 - chosen[0] / 100
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
