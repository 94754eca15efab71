"""Run the native program of a target on one image, here: as it is, or under qemu-user.

    image.f32 --> [qemu-aarch64-static -cpu cortex-a72 -L ...] run --> embedding.f32

For its answer, never for its time.
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmpc_base.closeable import Closeable
from cmpc_base.folders import folder_draft
from cmpc_cost_models.compiling.entries import LIBRARY_NAME
from cmpc_cost_models.errors import ProgramFailed
from cmpc_cost_models.records import CompiledNetwork
from cmpc_cost_models.sites.program import RUNNER_NAME, build_runner, copy_runtime
from cmpc_cost_models.targets.toolchain import Toolchain

__all__ = ["PROGRAM_SECONDS", "ProgramStage", "run_program"]

PROGRAM_SECONDS = 300.0  # an emulated network takes a hundred times as long as a real one

Float32Array = npt.NDArray[np.float32]


def run_program(
    program: Path,
    image: Float32Array,
    *,
    emulator: tuple[str, ...],
    limit_seconds: float = PROGRAM_SECONDS,
) -> Float32Array:
    """Return what a native program answers to ``image``, as a flat array.

    Raises:
        ProgramFailed: it ended with an error, took too long or gave no numbers.
    """
    with tempfile.TemporaryDirectory(prefix="cmpc-run-") as folder:
        given, answered = Path(folder, "image.f32"), Path(folder, "embedding.f32")
        np.ascontiguousarray(image, np.float32).tofile(given)
        command = [*emulator, str(program.resolve()), str(given), str(answered)]
        try:
            # Nothing of this machine's set-up may help or hinder what must run on another.
            done = subprocess.run(
                command, env={}, capture_output=True, timeout=limit_seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ProgramFailed(f"{program} must end within {limit_seconds:g} s") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()[-400:]
            raise ProgramFailed(
                f"{program} must run, ended with {_ending(done.returncode)}: {said}"
            )
        return np.fromfile(answered, np.float32)


class ProgramStage(Closeable):
    """Runs compiled networks of one target, one after the other, through one native program.

    The program looks for the network beside itself, so that it is built once for each input shape,
    in a folder whose network is exchanged.

    Raises:
        CompileFailed: the program can't be built.
    """

    def __init__(self, toolchain: Toolchain) -> None:
        self._toolchain = toolchain
        self._folder = tempfile.TemporaryDirectory(prefix="cmpc-stage-")

    def close(self) -> None:
        self._folder.cleanup()

    def run(self, network: CompiledNetwork, image: Float32Array) -> Float32Array:
        """Return the network's answer to ``image`` float32 [N, C, H, W], as a flat array.

        Raises:
            ProgramFailed: it crashed, hung or gave no numbers.
        """
        folder = Path(self._folder.name) / "x".join(map(str, network.input_shape))
        if not folder.exists():
            self._build(folder, network.input_shape)
        library = folder / LIBRARY_NAME
        library.unlink(missing_ok=True)
        library.symlink_to(network.path.resolve())
        emulator = self._toolchain.emulator
        assert emulator is not None, "a stage is for targets that can be executed"
        return run_program(folder / RUNNER_NAME, image, emulator=emulator)

    def _build(self, folder: Path, input_shape: tuple[int, ...]) -> None:
        with folder_draft(folder) as draft:
            copy_runtime(self._toolchain.target, draft, self._toolchain.runtime)
            build_runner(self._toolchain.target, draft, input_shape)


def _ending(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
