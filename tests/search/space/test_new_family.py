"""A family of another shape needs its choices and its plan: all else is there already."""

from dataclasses import dataclass
from functools import cached_property

import pytest

from cmpc_search.space.base import Architecture, Choice, Space
from cmpc_search.space.operations import Add, Convolution
from cmpc_search.space.plan import Plan, PlanDraft
from cmpc_search.testing.spaces import SpaceContract

KERNELS, EXPANSIONS, DEPTHS = (3, 5), (2, 3, 4), (1, 2)


@dataclass(frozen=True, kw_only=True)
class InvertedResidualSpace(Space):
    """MobileNetV2's inverted residuals (Sandler et al., CVPR 2018), each stage of one or two.

    The units of a stage share its kernel and expansion, so that its choices are one block.
    """

    stem_channels: int = 8
    stages: tuple[int, ...]

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        kinds = {"kernel": KERNELS, "expansion": EXPANSIONS, "depth": DEPTHS}
        return tuple(
            Choice(
                name=f"{kind}_{at}",
                options=options,
                words=tuple(f"{kind[0]}{option}" for option in options),
                block=at,
            )
            for at in range(len(self.stages))
            for kind, options in kinds.items()
        )

    def plan(self, architecture: Architecture) -> Plan:
        chosen = {name: int(value) for name, value in self.chosen(architecture).items()}
        draft = PlanDraft("query", input_size_px=self.input_size_px)
        stem = Convolution(3, self.stem_channels, 3, 2, activation="relu6")
        value = draft.add(stem, draft.image, name="stem")
        for at, channels in enumerate(self.stages):
            unit = chosen[f"kernel_{at}"], chosen[f"expansion_{at}"], channels
            for number in range(chosen[f"depth_{at}"]):
                value = add_unit(draft, value, f"stages.{at}.{number}", unit)
        return draft.embedded(value, self.embedding_dim)


def add_unit(draft: PlanDraft, value: str, name: str, unit: tuple[int, int, int]) -> str:
    """Widen, convolve each channel, narrow; the first of a stage halves the map."""
    kernel, expansion, channels = unit
    read = draft.channels(value)
    wide, stride = read * expansion, 2 if read != channels else 1
    branch = {
        "expand": Convolution(read, wide, activation="relu6"),
        "depthwise": Convolution(wide, wide, kernel, stride, depthwise=True, activation="relu6"),
        "project": Convolution(wide, channels, activation=None),
    }
    added = value
    for role, convolution in branch.items():
        added = draft.add(convolution, added, name=f"{name}.{role}")
    return draft.add(Add(), added, value) if stride == 1 else added


class TestInvertedResiduals(SpaceContract):
    @pytest.fixture
    def space(self) -> Space:
        return InvertedResidualSpace(
            name="inverted", input_size_px=24, embedding_dim=8, stages=(12, 20)
        )
