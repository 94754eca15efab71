"""Does a compiled network compute what ONNX Runtime computes? The one rule, wherever it runs.

Wherever means here, on a device or under an emulator: the images are the same, ONNX Runtime answers
on this machine, and both answers meet here. One image of noise is not enough: a network may clip,
or divide by no less than something, and noise in [0, 1) may never come near that.

    check_images --+--> the network, somewhere --> given
                   +--> ONNX Runtime ------------> expected --judge--> Agreement

ONNX Runtime is not always exact: its sigmoid far below zero is right in absolute terms only. Where
the two disagree, ONNX's own reference answers once more with float64.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_cost_models.records.plain import PlainRecord

__all__ = [
    "LARGEST_DIFFERENCE",
    "LARGEST_KERNEL_DIFFERENCE",
    "Agreement",
    "agreement",
    "check_images",
    "compare",
    "expected_answers",
    "judge",
    "random_image",
]

SMALLEST_COSINE = 0.9999
LARGEST_DIFFERENCE = 1e-3  # of the largest value; float32 sums in another order stay below 1e-5
LARGEST_KERNEL_DIFFERENCE = 1e-4  # of a single kernel's: what is off adds up over a network
# What is smaller than this share of the largest answer to any of the images may be what float32
# left of a difference of larger numbers: it is compared on this scale, not on its own.
SMALLEST_SHARE = 1e-4
SMALLEST_SCALE = 1e-6
WIDE, FAINT, BRIGHT = 4.0, 1e-3, 255.0  # how far images reach that noise in [0, 1) doesn't

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement(PlainRecord):
    """How near answers are; ``None`` where they have other sizes, or are not finite alike.

    Attributes:
        cosine: Of the angle between the answers, as vectors.
        relative_difference: The largest difference, over the largest value expected.
    """

    cosine: float | None
    relative_difference: float | None

    @property
    def objection(self) -> str | None:
        """Say why a network's answer is wrong, or ``None`` if it is right."""
        return self.objection_to("ONNX Runtime's")

    def objection_to(self, whose: str, *, within: float = LARGEST_DIFFERENCE) -> str | None:
        """Say why an answer is not that of another, or ``None`` if it is.

        Args:
            within: The largest relative difference of two right answers.
        """
        if self.cosine is None or self.relative_difference is None:
            return (
                f"wrong answer: it must have as many numbers as {whose}, and must be finite "
                "wherever that is, and nowhere else"
            )
        if self.cosine >= SMALLEST_COSINE and self.relative_difference <= within:
            return None
        return (
            f"wrong answer: it must be within {within:g} of {whose}, with a "
            f"cosine of at least {SMALLEST_COSINE:g}, and is off by "
            f"{self.relative_difference:.1e}, with a cosine of {self.cosine:.6f}"
        )


INCOMPARABLE = Agreement(cosine=None, relative_difference=None)


def compare(
    run: Callable[[Float32Array], Float32Array], onnx_path: str | Path, input_shape: Sequence[int]
) -> Agreement:
    """Let ``run`` and ONNX Runtime answer to the same images; return the least agreement."""
    images = check_images(input_shape)
    expected = expected_answers(onnx_path, images)
    return judge([run(image) for image in images], expected, onnx_path, images)


def judge(
    given: Sequence[Float32Array],
    expected: Sequence[Float32Array],
    onnx_path: str | Path,
    images: Sequence[Float32Array],
) -> Agreement:
    """Return the least agreement of the answers to ``images``: the first that is wrong, if any."""
    scale = _smallest_scale(expected)
    found = []
    for one, other, image in zip(given, expected, images, strict=True):
        near = agreement(one, other, smallest_scale=scale)
        if near.objection and (exact := _exact_answer(onnx_path, image)) is not None:
            with_exact = agreement(one, exact, smallest_scale=scale)
            near = near if with_exact.objection else with_exact
        if near.objection:
            return near
        found.append(near)
    if not any(np.isfinite(one).any() for one in expected):
        return INCOMPARABLE  # nothing was compared
    return Agreement(
        cosine=min(one.cosine for one in found if one.cosine is not None),
        relative_difference=max(one.relative_difference or 0.0 for one in found),
    )


def agreement(
    given: Float32Array, expected: Float32Array, *, smallest_scale: float = 0.0
) -> Agreement:
    """Compare two answers of one shape, or of one size where a raw file has lost the shape.

    Args:
        smallest_scale: What a difference is held against if all that is expected is smaller.
    """
    one, other = given.astype(np.float64).ravel(), expected.astype(np.float64).ravel()
    if one.size != other.size:
        return INCOMPARABLE
    is_finite = np.isfinite(other)
    if not np.array_equal(one[~is_finite], other[~is_finite], equal_nan=True):
        return INCOMPARABLE
    one, other = one[is_finite], other[is_finite]
    if not np.isfinite(one).all():
        return INCOMPARABLE
    largest = _largest(other)
    difference = float(np.abs(one - other).max(initial=0.0))
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    is_angle_known = lengths > 0 and largest >= smallest_scale
    return Agreement(
        cosine=float(one @ other) / lengths if is_angle_known else 1.0,
        relative_difference=difference / max(largest, smallest_scale, SMALLEST_SCALE),
    )


def _smallest_scale(expected: Sequence[Float32Array]) -> float:
    """Return the scale below which no answer is compared on its own.

    It follows the largest answer as far as that grows like its image. An exponential of a bright
    image reaches 1e38, beside which every other answer would pass.
    """
    largest = [_largest(one) for one in expected]
    of_noise = largest[0]
    return SMALLEST_SHARE * min(max(largest), max(1.0, BRIGHT * of_noise))


def random_image(input_shape: Sequence[int]) -> Float32Array:
    """Return the image that networks are timed on, float32 in [0, 1)."""
    return np.random.default_rng(0).random(tuple(input_shape), dtype=np.float32)


def check_images(input_shape: Sequence[int]) -> list[Float32Array]:
    """Return the images that answers are compared on: noise, both signs, faint, bright, black."""
    shape = tuple(input_shape)
    noise = random_image(shape)
    normal = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    scaled = (np.float32(WIDE) * normal, np.float32(FAINT) * normal, np.float32(BRIGHT) * noise)
    return [noise, *scaled, np.zeros(shape, np.float32)]


def expected_answers(onnx_path: str | Path, images: Sequence[Float32Array]) -> list[Float32Array]:
    """Return ONNX Runtime's answer to each image, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(onnx_path), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    return [session.run(None, {name: image})[0] for image in images]


def _exact_answer(onnx_path: str | Path, image: Float32Array) -> Float32Array | None:
    """Return the answer computed in float64; ``None`` if ONNX's reference has none."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    model = _in_float64(onnx.load(onnx_path))
    weights = {tensor.name for tensor in model.graph.initializer}
    [name] = [value.name for value in model.graph.input if value.name not in weights]
    try:
        with np.errstate(all="ignore"):
            answers: Any = ReferenceEvaluator(model).run(None, {name: image.astype(np.float64)})
            answer = answers[0]
            is_exact = answer.dtype == np.float64
            return answer.astype(np.float32) if is_exact else None
    # It raises whatever its operators raise: it doesn't do all of them, and no other precision.
    except Exception:
        return None


def _in_float64(model: Any) -> Any:
    """Return ``model`` with its constants and its casts to float32 as float64."""
    from onnx import TensorProto

    for tensor in model.graph.initializer:
        _widen(tensor)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                _widen(attribute.t)
            elif (node.op_type, attribute.name, attribute.i) == ("Cast", "to", TensorProto.FLOAT):
                attribute.i = TensorProto.DOUBLE
    return model


def _widen(tensor: Any) -> None:
    from onnx import TensorProto, numpy_helper

    if tensor.data_type == TensorProto.FLOAT:
        array = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _largest(answer: npt.NDArray[Any]) -> float:
    """Return the largest size of the finite numbers; 0 if there is none."""
    return float(np.abs(answer[np.isfinite(answer)]).max(initial=0.0))
