"""The process that compiles for another processor, and answers and predicts what it should do.

{"verb": "compile", "onnx_path", "target", "cache_dir", ...}  -> CompiledNetwork
{"verb": "expect", "onnx_path", "input_shape"}                -> {"answers"}, ONNX Runtime's
{"verb": "predict", "onnx_path", "target"}                    -> {"seconds", "num_kernels"}
                                                                 or {"unknown_reasons"}
"""

from pathlib import Path
from typing import Any

from cmpc_cost_models.agreement import check_images, expected_answers
from cmpc_cost_models.base import Unknown
from cmpc_cost_models.measuring.worker import VERBS, serve
from cmpc_cost_models.roofline import kernels_of, network_seconds
from cmpc_cost_models.targets import Target

__all__ = ["main"]


def main() -> None:
    """Answer requests until the input ends."""
    serve({"compile": VERBS["compile"], "expect": _expect, "predict": _predict})


def _expect(onnx_path: str, input_shape: list[int]) -> dict[str, Any]:
    answers = expected_answers(onnx_path, check_images(input_shape))
    return {"answers": [answer.ravel().tolist() for answer in answers]}


def _predict(onnx_path: str, target: dict[str, Any]) -> dict[str, Any]:
    kernels = kernels_of(Path(onnx_path))
    if isinstance(kernels, Unknown):
        return {"unknown_reasons": kernels.reasons}
    seconds = network_seconds(kernels, Target.from_json(target))
    return {"seconds": seconds, "num_kernels": len(kernels)}


if __name__ == "__main__":
    main()
