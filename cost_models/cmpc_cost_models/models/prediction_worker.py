"""The process that compiles for another processor, judges what ran there, and predicts its time.

{"verb": "compile", "onnx_path", "target", "cache_dir", ...}  -> CompiledNetwork
{"verb": "judge", "onnx_path", "input_shape", "answers"}      -> Agreement with ONNX Runtime's
{"verb": "predict", "onnx_path", "target"}                    -> {"seconds", "num_kernels"}
                                                                 or {"unknown_reasons"}
"""

from pathlib import Path
from typing import Any

import numpy as np

from cmpc_cost_models.models.roofline import kernels_of, network_seconds
from cmpc_cost_models.records import Unknown
from cmpc_cost_models.sites.agreement import check_images, expected_answers, judge
from cmpc_cost_models.sites.worker import VERBS, serve
from cmpc_cost_models.targets.target import Target

__all__ = ["main"]


def main() -> None:
    """Answer requests until the input ends."""
    serve({"compile": VERBS["compile"], "judge": _judge, "predict": _predict})


def _judge(onnx_path: str, input_shape: list[int], answers: list[list[float]]) -> dict[str, Any]:
    images = check_images(input_shape)
    given = [np.asarray(one, np.float32) for one in answers]
    return judge(given, expected_answers(onnx_path, images), onnx_path, images).to_json()


def _predict(onnx_path: str, target: dict[str, Any]) -> dict[str, Any]:
    kernels = kernels_of(Path(onnx_path))
    if isinstance(kernels, Unknown):
        return {"unknown_reasons": kernels.reasons}
    seconds = network_seconds(kernels, Target.from_json(target))
    return {"seconds": seconds, "num_kernels": len(kernels)}


if __name__ == "__main__":
    main()
