"""A space and a scorer small enough to reason about, with the real package's interfaces."""

from dataclasses import dataclass

from cmpc_search.space.architecture import Architecture
from cmpc_search.study import Accuracy, CandidateScore


@dataclass(frozen=True)
class ToySpace:
    """Cost grows with the width and the code of each block; both are exact by hand."""

    num_blocks: int = 4
    block_choices: tuple[int, ...] = (0, 1, 2, 3)
    width_choices: tuple[float, ...] = (0.6, 1.0, 1.4)

    def macs(self, architecture: Architecture) -> int:
        choices = zip(architecture.blocks, architecture.widths, strict=True)
        return sum((block + 1) * round(10 * width) for block, width in choices)


def toy_score(architecture: Architecture, space: ToySpace = ToySpace()) -> CandidateScore:
    macs = space.macs(architecture)
    reward = sum(architecture.widths) / 10 - architecture.blocks[0] / 100
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
