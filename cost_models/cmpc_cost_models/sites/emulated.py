"""Run the native program of a target on one image, here: as it is, or under qemu-user.

    image.f32 --> [qemu-aarch64-static -cpu cortex-a72 -L ...] run --> embedding.f32

For its answer, never for its time.
"""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cmpc_base.folders import folder_draft
from cmpc_base.printable import last_lines
from cmpc_cost_models.compiling.entries import LIBRARY_NAME
from cmpc_cost_models.errors import BadArgument, ProgramFailed
from cmpc_cost_models.sites.base import NO_TIMES, Site
from cmpc_cost_models.sites.program import RUNNER_NAME, build_runner, copy_runtime
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.targets.toolchain import Toolchain, find_toolchain

__all__ = ["PROGRAM_SECONDS", "EmulatedSite", "run_program"]

PROGRAM_SECONDS = 300.0  # an emulated network takes a hundred times as long as a real one

Float32Array = npt.NDArray[np.float32]


def run_program(
    program: Path,
    image: Float32Array,
    *,
    emulator: tuple[str, ...],
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
                command, env={}, capture_output=True, timeout=PROGRAM_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ProgramFailed(f"{program} must end within {PROGRAM_SECONDS:g} s") from error
        if done.returncode:
            said = last_lines(done.stderr.decode(errors="replace"))
            raise ProgramFailed(
                f"{program} must run, ended with {_ending(done.returncode)}: {said}"
            )
        return np.fromfile(answered, np.float32)


class EmulatedSite(Site):
    """Runs compiled networks of one target, one after the other, through one native program.

    The program looks for the network beside itself, so that it is built once for each input shape,
    in a folder whose network is exchanged.
    """

    def __init__(self, toolchain: Toolchain) -> None:
        self._toolchain = toolchain
        self._folder = tempfile.TemporaryDirectory(prefix="cmpc-emulated-")

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        target = Target.from_json(document["target"])
        return cls(find_toolchain(target, cache_dir=Path(document["cache_dir"])))

    def close(self) -> None:
        self._folder.cleanup()

    def load(self, library: Path, input_shape: Sequence[int]) -> "EmulatedNetwork":
        """Return the network with the program beside it.

        Raises:
            CompileFailed: the program can't be built.
        """
        folder = Path(self._folder.name) / "x".join(map(str, input_shape))
        if not folder.exists():
            self._build(folder, input_shape)
        emulator = self._toolchain.emulator
        assert emulator is not None, "only what can be executed is loaded"
        return EmulatedNetwork(library, folder / RUNNER_NAME, emulator)

    def _build(self, folder: Path, input_shape: Sequence[int]) -> None:
        with folder_draft(folder) as draft:
            copy_runtime(self._toolchain.target, draft, self._toolchain.runtime)
            build_runner(self._toolchain.target, draft, input_shape)


class EmulatedNetwork:
    """A network that is put beside a native program while that runs."""

    def __init__(self, library: Path, program: Path, emulator: tuple[str, ...]) -> None:
        self._library = library
        self._program = program
        self._emulator = emulator

    def run(self, inputs: Float32Array) -> Float32Array:
        """Return the network's answer to ``inputs`` float32 [N, C, H, W], as a flat array.

        Raises:
            ProgramFailed: it crashed, hung or gave no numbers.
        """
        place = self._program.parent / LIBRARY_NAME
        place.unlink(missing_ok=True)
        place.symlink_to(self._library.resolve())
        return run_program(self._program, inputs, emulator=self._emulator)

    def time_ms(self, num_runs: int) -> float:
        raise BadArgument(NO_TIMES)

    def single_ms(self, num_runs: int) -> list[float]:
        raise BadArgument(NO_TIMES)


def _ending(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
