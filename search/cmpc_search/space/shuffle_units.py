"""The units of ShuffleNetV2 and the Xception-like one of SPOS: what choice blocks are made of."""

from dataclasses import dataclass

from cmpc_search.space.operations import Concat, Convolution, Slice
from cmpc_search.space.plan import PlanDraft, Sharing

__all__ = ["OPERATORS", "ShuffleUnit"]

# What keys call the SPOS block codes 0 to 3: three ShuffleNetV2 units, and an Xception-like one.
OPERATORS = ("k3", "k5", "k7", "xc")
XCEPTION = 3
KERNELS = (3, 5, 7, 3)
XCEPTION_ROLES = ("before", "mix", "after")  # what no other operator does


@dataclass(frozen=True, kw_only=True, slots=True)
class ShuffleUnit:
    """A unit of ShuffleNetV2 (Ma et al., ECCV 2018, figure 3), as SPOS has it (section 4.1).

        stride 1:  odd channels  -> main branch -\\
                   even channels -----------------> concatenate
        stride 2:  all channels  -> main branch -\\
                   all channels  -> shortcut -----> concatenate
    """

    name: str
    operator: int
    stride: int
    channels: int
    middle: int
    is_one_of_several: bool

    def add_to(self, draft: PlanDraft, features: str) -> str:
        """Append the unit to ``draft`` and return what it gives."""
        kept = read = features
        if self.stride == 1:
            kept, read = (draft.add(Slice(start, step=2), features) for start in (0, 1))
        shortcut = self.shortcut(draft.channels(kept))
        for number, (role, convolution) in enumerate(self.main(draft.channels(read)).items()):
            is_extra = self.is_one_of_several and role in XCEPTION_ROLES
            sharing = Sharing(f"{self.name}.main.{role}", starts_as_identity=is_extra)
            read = draft.add(convolution, read, name=f"{self.name}.main.{number}", sharing=sharing)
        kept = draft.chain(kept, shortcut, name=f"{self.name}.shortcut")
        return draft.add(Concat(), kept, read)

    def main(self, read: int) -> dict[str, Convolution]:
        """Return the main branch by what each convolution does; it reads ``read`` channels.

        The Xception-like unit does what a ShuffleNetV2 unit does, with three more convolutions.
        """
        middle, given = self.middle, self.channels - read
        if self.operator != XCEPTION:
            kernel = KERNELS[self.operator]
            return {
                "expand": Convolution(read, middle),
                "depthwise": _depthwise(middle, kernel, self.stride),
                "project": Convolution(middle, given),
            }
        return {
            "before": _depthwise(read, 3, self.stride),
            "expand": Convolution(read, middle),
            "depthwise": _depthwise(middle, 3),
            "mix": Convolution(middle, middle),
            "after": _depthwise(middle, 3),
            "project": Convolution(middle, given),
        }

    def shortcut(self, read: int) -> list[Convolution]:
        if self.stride == 1:
            return []
        return [_depthwise(read, KERNELS[self.operator], self.stride), Convolution(read, read)]


def _depthwise(channels: int, kernel: int, stride: int = 1) -> Convolution:
    return Convolution(channels, channels, kernel, stride, depthwise=True, activation=None)
