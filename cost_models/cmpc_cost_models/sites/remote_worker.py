"""The process that talks to a device: compiles here, and checks and times there.

A worker of its own, since a device may fall silent in the middle of a word: the parent then kills
this process and asks another. The verbs that it has beside ``compile``:

    {"verb": "connect", "device"}                                       -> facts of the device
    {"verb": "check", "device", "library", "input_shape", "onnx_path"}  -> Agreement
    {"verb": "time", "device", "networks", "settings"}                  -> Blocks

The session is kept from one request to the next, and opened by whichever finds none.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_base.hashing import file_hash
from cmpc_cost_models.sites.agreement import compare, random_image
from cmpc_cost_models.sites.connection import connect, facts_of
from cmpc_cost_models.sites.loaded import loop_ms
from cmpc_cost_models.sites.worker import VERBS, serve
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.timing.blocks import TimingSettings, time_in_turn, with_single_runs
from cmpc_cost_models.timing.conditions import Conditions

__all__ = ["main"]

# A device tells nothing of what else it does, so that only its blocks can raise doubts.
NOTHING_KNOWN = Conditions(wall_s=0.0, cpu_share=1.0)


def main() -> None:
    """Answer requests until the input ends."""
    link = _Link()
    serve(
        {
            "compile": VERBS["compile"],
            "connect": link.connect,
            "check": link.check,
            "time": link.time,
        }
    )


class _Link:
    """The session with the device, and what was sent there."""

    def __init__(self) -> None:
        self._session: Any = None

    def connect(self, device: dict[str, Any]) -> dict[str, Any]:
        self._session = None  # ends the old one: a server talks to one client at a time
        self._session = connect(Device(**device))
        return dict(facts_of(self._session))

    def check(
        self, device: dict[str, Any], library: str, input_shape: list[int], onnx_path: str
    ) -> dict[str, Any]:
        """Compare the device's answers with ONNX Runtime's, given here on the same images."""
        network = self._loaded(device, library)
        return compare(network.run, onnx_path, input_shape).to_json()

    def time(
        self, device: dict[str, Any], networks: list[dict[str, Any]], settings: dict[str, Any]
    ) -> dict[str, Any]:
        """Time the networks in turn, block by block; the clock is the device's own."""
        loaded = []
        for one in networks:
            loaded.append(self._loaded(device, one["library"]))
            loaded[-1].set_input(random_image(one["input_shape"]))
        runners = [network.time_ms for network in loaded]
        how = TimingSettings(**settings)
        blocks = time_in_turn(runners, how, cpus=())
        blocks = with_single_runs(blocks, [network.single_ms for network in loaded], how)
        # The conditions that come with the blocks are of this machine, which only waits.
        return replace(blocks, conditions=NOTHING_KNOWN).to_json()

    def _loaded(self, device: dict[str, Any], library: str) -> "_RemoteNetwork":
        if self._session is None:
            self.connect(device)
        return _RemoteNetwork(self._session, Path(library))


class _RemoteNetwork:
    """A compiled network that was sent to the device and loaded there."""

    def __init__(self, session: Any, library: Path) -> None:
        import tvm
        from tvm import relax

        name = f"{file_hash(library)[:16]}.so"
        session.upload(str(library), name)
        module = session.load_module(name)
        session.remove(name)  # it is loaded; a small board's disk must not fill
        self._as_tensor = tvm.runtime.tensor
        self._device = session.cpu()
        self._machine = relax.VirtualMachine(module, self._device)

    def set_input(self, image: npt.NDArray[np.float32]) -> None:
        self._machine.set_input("main", self._as_tensor(image, self._device))

    def run(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self.set_input(image)
        self._machine.invoke_stateful("main")
        answer: npt.NDArray[np.float32] = self._machine.get_outputs("main").numpy()
        return answer

    def time_ms(self, num_runs: int) -> float:
        """Return the mean duration of ``num_runs`` runs, by a loop on the device."""
        return loop_ms(self._machine, self._device, runs_per_block=num_runs)[0]

    def single_ms(self, num_runs: int) -> list[float]:
        """Return the durations of ``num_runs`` runs, each timed by itself on the device."""
        return loop_ms(self._machine, self._device, num_blocks=num_runs)


if __name__ == "__main__":
    main()
