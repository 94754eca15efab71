"""A network as a list of named operations: the one description from which MACs are counted, torch
modules are made, supernet weights are sliced and ONNX is written. What is counted is therefore what
runs.

    draft = PlanDraft("tiny", input_size_px=32)
    features = draft.add(Convolution(3, 8, kernel=3, stride=2), draft.image, name="stem")
    plan = draft.embedded(features, embedding_dim=16)
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cmpc_search.space.operations import (
    Convolution,
    Features,
    Linear,
    Mean,
    Normalise,
    Operation,
)

__all__ = ["IMAGE", "Plan", "PlanDraft", "PlanStep", "Sharing"]

IMAGE = "image"
IMAGE_CHANNELS = 3

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Sharing:
    """Which tensor of a supernet a layer's weight is a part of: its first channels, and the middle
    of its kernel, or of a global one means over the places that it joins.

    Attributes:
        weight: The tensor's name; layers of one name share it, in one network or in several.
        starts_as_identity: Whether it starts by passing every channel on, for a layer that only
            some of the networks have (Net2Net, Chen et al., ICLR 2016).
    """

    weight: str
    starts_as_identity: bool = False


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One operation with what it reads and gives.

    Attributes:
        name: What it gives is called; of a layer also where its weights are in a state dict.
        inputs: The names of what it reads.
        out: The shape of what it gives.
    """

    name: str
    operation: Operation
    inputs: tuple[str, ...]
    out: Features
    sharing: Sharing

    @property
    def layer(self) -> Convolution | Linear:
        """The operation of a step that has weights."""
        assert isinstance(self.operation, Convolution | Linear), "`Plan.layers` are such steps"
        return self.operation


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole network, from image to embedding; the last step gives the result.

    Attributes:
        name: What its ONNX graph is called.
        image: The shape of the image.
    """

    name: str
    image: Features
    steps: tuple[PlanStep, ...]

    @property
    def input_size_px(self) -> int:
        """Height and width of the image."""
        return self.image.size_px

    @property
    def layers(self) -> list[PlanStep]:
        """The steps that have weights, in order."""
        return [step for step in self.steps if isinstance(step.operation, Convolution | Linear)]

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image.

        Batch norms, activations and pooling are left out, as SPOS counts: the published networks
        of 323 M and 328 M come out as 322.9 M and 327.9 M.
        """
        return sum(math.prod(one.layer.weight_shape) * one.out.size_px**2 for one in self.layers)

    def run(self, image: Value, compute: Callable[[PlanStep, list[Value]], Value]) -> Value:
        """Carry ``image`` through all steps: tensors, names of ONNX tensors, or what one likes.

        A value is let go after the last step that reads it.
        """
        values = {IMAGE: image}
        last_use = {name: step.name for step in self.steps for name in step.inputs}
        for step in self.steps:
            values[step.name] = compute(step, [values[name] for name in step.inputs])
            for name in set(step.inputs):
                if last_use[name] == step.name:
                    del values[name]
        return values[self.steps[-1].name]


class PlanDraft:
    """Collects the steps of a plan; each method takes and returns names of values."""

    def __init__(self, name: str, *, input_size_px: int, channels: int = IMAGE_CHANNELS) -> None:
        self.image = IMAGE
        self._name = name
        self._steps: list[PlanStep] = []
        self._features = {IMAGE: Features(channels, input_size_px)}

    def features(self, value: str) -> Features:
        """Return the shape of a value."""
        return self._features[value]

    def channels(self, value: str) -> int:
        return self._features[value].channels

    def add(
        self, operation: Operation, *inputs: str, name: str = "", sharing: Sharing | None = None
    ) -> str:
        """Append a step and return its name: layers must be given one, others may go without."""
        name = name or f"{type(operation).__name__.lower()}_{len(self._steps)}"
        assert name not in self._features, "no two steps have one name"
        out = operation.out(*(self._features[value] for value in inputs))
        self._steps.append(PlanStep(name, operation, inputs, out, sharing or Sharing(name)))
        self._features[name] = out
        return name

    def chain(self, value: str, operations: Sequence[Operation], *, name: str) -> str:
        """Append operations that read each what the one before gives, named by their numbers."""
        for number, operation in enumerate(operations):
            value = self.add(operation, value, name=f"{name}.{number}")
        return value

    def laid_out(self, value: str) -> str:
        """Weigh each place of feature maps, such that the mean over them no longer forgets places.

        The global depthwise convolution of MobileFaceNets (Chen et al., 2018), for ``channels *
        size_px ** 2`` multiply-accumulates.
        """
        channels, size = self.channels(value), self.features(value).size_px
        layout = Convolution(
            channels, channels, size, depthwise=True, activation=None, is_global=True
        )
        return self.add(layout, value, name="layout")

    def embedded(self, value: str, embedding_dim: int) -> Plan:
        """Return the plan that ends in the unit embedding of feature maps."""
        value = self.add(Mean(), value)
        value = self.add(Linear(self.channels(value), embedding_dim), value, name="embedding")
        self.add(Normalise(), value)
        return self.finished()

    def finished(self) -> Plan:
        """Return the plan that ends in the last step."""
        return Plan(self._name, self._features[IMAGE], tuple(self._steps))
