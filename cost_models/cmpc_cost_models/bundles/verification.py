"""Run a bundle before it is published, and the embedding of images by a bundle for elsewhere."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_cost_models.bundles.opening import Bundle
from cmpc_cost_models.compiling.entries import LIBRARY_NAME
from cmpc_cost_models.errors import BadArgument, BadBundle
from cmpc_cost_models.records import CompiledNetwork
from cmpc_cost_models.sites.agreement import compare
from cmpc_cost_models.sites.emulated import run_program
from cmpc_cost_models.sites.loaded import LoadedNetwork
from cmpc_cost_models.sites.program import RUNNER_NAME
from cmpc_cost_models.targets.toolchain import Toolchain

__all__ = ["embed_emulated", "verifier"]


def verifier(
    onnx_path: Path, compiled: CompiledNetwork, toolchain: Toolchain
) -> Callable[[Path], Mapping[str, Any]]:
    """Return a function that runs a bundle and compares its answers with ONNX Runtime's.

    The native program runs if there is one; without it the network itself, on this machine.

    Raises:
        BadBundle: (the function) the program's answer is wrong.
        ProgramFailed: (the function) it gives none.
    """
    emulator = toolchain.emulator
    assert emulator is not None, "only what can be executed here is verified here"

    def verify(draft: Path) -> Mapping[str, Any]:
        run: Callable[..., npt.NDArray[np.float32]]
        if (draft / RUNNER_NAME).exists():
            run = partial(run_program, draft / RUNNER_NAME, emulator=emulator)
        else:
            run = LoadedNetwork(draft / LIBRARY_NAME, compiled.input_shape).run
        found = compare(run, onnx_path, compiled.input_shape)
        if found.objection:
            raise BadBundle(f"a bundle must be right to be published: {found.objection}")
        by = Path(emulator[0]).name if emulator else "this machine"
        return {"run_by": by, "compared_with": "onnxruntime", **found.to_json()}

    return verify


def embed_emulated(
    bundle: Bundle, images: npt.NDArray[np.uint8], toolchain: Toolchain
) -> npt.NDArray[np.float32]:
    """Return the embeddings float32 [N, D] of images uint8 [N, H, W, 3], by the native program.

    Raises:
        BadArgument: the bundle has no program, or it can't be run here.
        ProgramFailed: the program gives no embedding.
    """
    if bundle.runner is None or toolchain.emulator is None:
        lacking = "; ".join(toolchain.lacking) or "the bundle has no program, build it with one"
        raise BadArgument(f"the program of {bundle.folder} must run here: {lacking}")
    rows = np.empty((len(images), bundle.embedding_dim), np.float32)
    for row, image in zip(rows, images, strict=True):
        row[:] = run_program(
            bundle.runner, bundle.preprocessing.as_input(image), emulator=toolchain.emulator
        )
    return rows
