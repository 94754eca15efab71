"""Networks that somebody made by hand, in the width that a number of MACs affords.

They are what a search must beat. Counted, trained, exported and compiled as those of a space are:
each is a plan.

    replace(MOBILENET_V2, input_size_px=48, stem_stride=1).scaled_to(2_600_000).plan()
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from cmpc_search.errors import BadArgument
from cmpc_search.space.operations import Add, Convolution, MaxPool
from cmpc_search.space.plan import Plan, PlanDraft
from cmpc_search.space.shuffle_units import ShuffleUnit

__all__ = [
    "MOBILENET_V2",
    "SHUFFLENET_V2",
    "SHUFFLENET_V2_HALF",
    "HandMade",
    "MobileNetV2",
    "ShuffleNetV2",
]

WIDEST = 8000  # thousandths


@dataclass(frozen=True, kw_only=True, slots=True)
class HandMade(ABC):
    """A network of which the width may be another.

    Attributes:
        input_size_px: Height and width of the input image.
        embedding_dim: Length of the embedding.
        width: What the channels of all layers are multiplied by.
        stem_stride: Of the first convolution: 2 as published, 1 for small images.
        divisor: Channels are multiples of it.
    """

    input_size_px: int = 224
    embedding_dim: int = 128
    width: float = 1.0
    stem_stride: int = 2
    divisor: int = 8

    def plan(self) -> Plan:
        """Return the network."""
        draft = PlanDraft("query", input_size_px=self.input_size_px)
        return draft.embedded(self.add_layers(draft), self.embedding_dim)

    @abstractmethod
    def add_layers(self, draft: PlanDraft) -> str:
        """Append all layers before pooling, and return the name of what they give."""

    def scaled_to(self, macs: int) -> Self:
        """Return the widest network of at most ``macs``, in thousandths of the width.

        Channels are then any number: in steps of 8, small networks would miss it by far.

        Raises:
            BadArgument: even the narrowest takes more.
        """
        least, most = 0, WIDEST
        while least < most:
            middle = (least + most + 1) // 2
            if self._of_width(middle).plan().macs <= macs:
                least = middle
            else:
                most = middle - 1
        if not least:
            raise BadArgument(
                f"a {type(self).__name__} must be given at least "
                f"{self._of_width(1).plan().macs} MACs at {self.input_size_px} px, got {macs}"
            )
        return self._of_width(least)

    def _of_width(self, thousandths: int) -> Self:
        return replace(self, width=thousandths / 1000, divisor=1)

    def _channels(self, published: float) -> int:
        """Return the channels of a layer, as MobileNets round them: at least nine tenths."""
        wanted, divisor = published * self.width, self.divisor
        rounded = max(divisor, int(wanted + divisor / 2) // divisor * divisor)
        return rounded + divisor if rounded < 0.9 * wanted else rounded

    def _kept_above(self, published: int, width: float) -> int:
        """Return the channels of a layer that is scaled only below a width."""
        return replace(self, width=min(1.0, self.width / width))._channels(published)


@dataclass(frozen=True, kw_only=True, slots=True)
class MobileNetV2(HandMade):
    """Inverted residuals with linear bottlenecks (Sandler et al., CVPR 2018, table 2).

    As there, the last convolution keeps its 1280 channels in narrower networks; below 0.35, the
    narrowest that was published, it gives way too, or it would be all that is left.
    """

    # Expansion, channels, number and first stride of the blocks of each row.
    ROWS: ClassVar = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )

    def add_layers(self, draft: PlanDraft) -> str:
        stem = Convolution(3, self._channels(32), 3, self.stem_stride, activation="relu6")
        value, number = draft.add(stem, draft.image, name="stem"), 0
        for expansion, channels, count, stride in self.ROWS:
            for position in range(count):
                shape = (expansion, self._channels(channels), stride if position == 0 else 1)
                value = _add_inverted_residual(draft, value, f"blocks.{number}", shape)
                number += 1
        widest = self._channels(1280) if self.width > 1 else self._kept_above(1280, 0.35)
        head = Convolution(draft.channels(value), widest, activation="relu6")
        return draft.add(head, value, name="head")


@dataclass(frozen=True, kw_only=True, slots=True)
class ShuffleNetV2(HandMade):
    """Channel split and shuffle (Ma et al., ECCV 2018, table 5), its units as the authors' code has
    them: the shortcut of a stride-2 unit keeps the channels that it reads.

    Stem and last convolution are those of all published widths; below half of the channels they
    give way too. Small images are not pooled after the stem.

    Attributes:
        channels: Of the three stages.
    """

    UNITS: ClassVar = (4, 8, 4)
    channels: tuple[int, int, int] = (116, 232, 464)
    divisor: int = 2

    def add_layers(self, draft: PlanDraft) -> str:
        stem = Convolution(3, self._kept_above(24, 0.5), 3, self.stem_stride)
        value, number = draft.add(stem, draft.image, name="stem"), 0
        if self.stem_stride == 2:
            value = draft.add(MaxPool(3, 2, 1), value)
        for channels, count in zip(self.channels, self.UNITS, strict=True):
            given = self._stage_channels(channels, draft.channels(value))
            for position in range(count):
                unit = ShuffleUnit(
                    name=f"blocks.{number}",
                    operator=0,
                    stride=2 if position == 0 else 1,
                    channels=given,
                    middle=given // 2,
                    is_one_of_several=False,
                )
                value, number = unit.add_to(draft, value), number + 1
        head = Convolution(draft.channels(value), self._kept_above(1024, 0.5))
        return draft.add(head, value, name="head")

    def _stage_channels(self, published: int, read: int) -> int:
        """Return an even number of channels, more than are read: a stride-2 unit adds some."""
        even = replace(self, divisor=max(2, self.divisor))._channels(published)
        return max(even, (read // 2 + 1) * 2)


def _add_inverted_residual(
    draft: PlanDraft, value: str, name: str, shape: tuple[int, int, int]
) -> str:
    """Widen, convolve each channel, narrow; ``shape`` is expansion, channels and stride."""
    expansion, channels, stride = shape
    read = draft.channels(value)
    wide = read * expansion
    expand = [Convolution(read, wide, activation="relu6")] if expansion > 1 else []
    depthwise = Convolution(wide, wide, 3, stride, depthwise=True, activation="relu6")
    project = Convolution(wide, channels, activation=None)
    branch = draft.chain(value, [*expand, depthwise, project], name=name)
    return draft.add(Add(), branch, value) if stride == 1 and read == channels else branch


MOBILENET_V2 = MobileNetV2()
SHUFFLENET_V2 = ShuffleNetV2()
SHUFFLENET_V2_HALF = ShuffleNetV2(channels=(48, 96, 192))
