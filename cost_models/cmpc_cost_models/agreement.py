"""Does a compiled network compute what ONNX Runtime computes? The one rule, wherever it runs.

Wherever means here, on a device or under an emulator: the image is the same, ONNX Runtime answers
on this machine, and both answers meet here.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

__all__ = [
    "LARGEST_DIFFERENCE",
    "SMALLEST_COSINE",
    "Agreement",
    "agreement",
    "expected_answer",
    "random_image",
]

SMALLEST_COSINE = 0.9999
LARGEST_DIFFERENCE = 1e-3  # of the largest value; float32 sums in another order stay below 1e-5

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """How near two answers are; ``None`` where one isn't finite.

    Attributes:
        cosine: Of the angle between the answers, as vectors.
        relative_difference: The largest difference, over the largest value expected.
    """

    cosine: float | None
    relative_difference: float | None

    @property
    def objection(self) -> str | None:
        """Say why the answer is wrong, or ``None`` if it is right."""
        if self.cosine is None or self.relative_difference is None:
            return "wrong answer: it must be finite"
        if self.cosine >= SMALLEST_COSINE and self.relative_difference <= LARGEST_DIFFERENCE:
            return None
        return (
            f"wrong answer: it must be within {LARGEST_DIFFERENCE:g} of ONNX Runtime's, with a "
            f"cosine of at least {SMALLEST_COSINE:g}, and is off by "
            f"{self.relative_difference:.1e}, with a cosine of {self.cosine:.6f}"
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        return cls(**document)


def agreement(given: Float32Array, expected: Float32Array) -> Agreement:
    """Compare two answers of one shape, or of one size where a raw file has lost the shape."""
    if not (np.isfinite(given).all() and np.isfinite(expected).all()):
        return Agreement(cosine=None, relative_difference=None)
    one, other = given.astype(np.float64).ravel(), expected.astype(np.float64).ravel()
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    largest = float(np.abs(other).max())
    difference = float(np.abs(one - other).max())
    return Agreement(
        cosine=float(one @ other) / lengths if lengths else float(difference == 0),
        relative_difference=difference / max(largest, 1e-6),
    )


def random_image(input_shape: Sequence[int]) -> Float32Array:
    """Return the image that answers are compared on, float32 in [0, 1)."""
    return np.random.default_rng(0).random(tuple(input_shape), dtype=np.float32)


def expected_answer(onnx_path: str | Path, image: Float32Array) -> Float32Array:
    """Return ONNX Runtime's answer to ``image``, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(onnx_path), options, providers=["CPUExecutionProvider"]
    )
    [answer] = session.run(None, {session.get_inputs()[0].name: image})
    expected: Float32Array = answer
    return expected
