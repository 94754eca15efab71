"""What a gallery network is: a backbone of some family, and the head that makes embeddings of it.

    image --backbone--> feature maps --mean, projection--> unit embedding [--whitening--> another]

A family subclasses `GalleryShape` and adds its backbone to a draft. The projection learns with the
backbone; the whitening is fitted once the network is trained. Both are layers of the plan, so that
what is exported, counted and served is one network.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import nn

from cmpc_search.networks.gallery.pretrained import PretrainedFile, read_pretrained
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.space.operations import Linear, Normalise
from cmpc_search.space.plan import Plan, PlanDraft

__all__ = ["TORCH_EPSILON", "WHITENING", "Count", "GalleryNetwork", "GalleryShape", "SizePx"]

TORCH_EPSILON = 1e-5
WHITENING = "whitening"

# What a file may say of a network; whoever writes a shape in code is asked less.
SizePx = Annotated[int, Field(ge=1, le=16_384, strict=True)]
Count = Annotated[int, Field(ge=1, le=1_000_000, strict=True)]


@dataclass(frozen=True, kw_only=True, slots=True)
class GalleryShape(ABC):
    """Which network of a family: its size, without its weights.

    Attributes:
        input_size_px: Height and width of the input image.
        embedding_dim: Length of the embedding.
        is_whitened: Whether a linear layer follows the embedding, and gives as long a one.
    """

    name: str
    input_size_px: SizePx
    embedding_dim: Count = 128
    is_whitened: bool = False

    @abstractmethod
    def add_backbone(self, draft: PlanDraft) -> str:
        """Append all layers but the head, and return the name of the last feature maps."""

    @property
    def norm_epsilon(self) -> float:
        """What batch norms add to a variance."""
        return TORCH_EPSILON

    @property
    def is_dense(self) -> bool:
        """Whether most of its convolutions read all channels: those gain from bfloat16."""
        return False

    @property
    def pretrained_file(self) -> PretrainedFile | None:
        """Where published weights of this network are, if somebody publishes them."""
        return None

    def own_name(self, published: str) -> str | None:
        """Return what the plan calls a published tensor; None of one that it has no use for."""
        return published

    def plan(self) -> Plan:
        """Return the network of this shape."""
        draft = PlanDraft("gallery", input_size_px=self.input_size_px)
        plan = draft.embedded(self.add_backbone(draft), self.embedding_dim)
        if not self.is_whitened:
            return plan
        layer = Linear(self.embedding_dim, self.embedding_dim)
        draft.add(Normalise(), draft.add(layer, plan.steps[-1].name, name=WHITENING))
        return draft.finished()


class GalleryNetwork(PlanNetwork):
    """A network of a shape; see `PlanNetwork`.

    Attributes:
        pretrained_names: The tensors of its state that started as somebody published them.
    """

    def __init__(self, shape: GalleryShape) -> None:
        super().__init__(shape.plan())
        self.shape = shape
        self.pretrained_names: frozenset[str] = frozenset()
        for norm in self.batch_norms():
            norm.eps = shape.norm_epsilon

    def load_pretrained(self) -> None:
        """Take the published weights of this shape, if there are any.

        Raises:
            MissingLibrary: the package that brings them is not installed.
            BadGallery: its file is damaged.
        """
        file = self.shape.pretrained_file
        if file is None:
            return
        named = {self.shape.own_name(name): value for name, value in read_pretrained(file).items()}
        found = {name: value for name, value in named.items() if name is not None}
        self.load_state_dict({**self.state_dict(), **found})
        self.pretrained_names = frozenset(found)

    def pretrained_layers(self) -> Iterator[nn.Module]:
        """Yield the layers that started from published weights."""
        for step in self.plan.layers:
            if f"{step.name}.weight" in self.pretrained_names:
                yield self.layer(step)
