"""Where does compiled code run? What a site promises to whoever checks and times there.

    Site.load(library) --> network: run(image) -> answer, time_ms, single_ms
    Site.prepared()    --> the timed thread keeps to its processors, of which
    Site.observe()         snapshots are taken
    Site.facts()       --> which machine it is

A site lives in a worker process (``worker``), since what runs there may crash it; the worker's
parent holds a ``SiteProcess``. A kind of site is a row of ``catalogue.SITES``.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from cmpc_base.closeable import Closeable
from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.records.evidence import UNKNOWN_MACHINE, Fingerprint
from cmpc_cost_models.timing.conditions import Snapshot

__all__ = ["NO_FACTS", "NO_TIMES", "RunningNetwork", "Site", "SiteFacts"]

NO_TIMES = "what a program takes there says nothing of a processor: nothing may be timed there"

Float32Array = npt.NDArray[np.float32]


class RunningNetwork(Protocol):
    """A compiled network where it runs."""

    def run(self, inputs: Float32Array) -> Float32Array:
        """Return the answer to float32 inputs of exactly its input shape; its own may be lost."""

    def time_ms(self, num_runs: int) -> float:
        """Return the mean duration of ``num_runs`` runs on noise."""

    def single_ms(self, num_runs: int) -> list[float]:
        """Return the durations of ``num_runs`` runs on noise, each timed by itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteFacts:
    """What a site tells of its machine.

    Attributes:
        features: The instruction-set flags its system lists; ``None`` where nobody could read them.
    """

    fingerprint: Fingerprint = UNKNOWN_MACHINE
    features: frozenset[str] | None = None

    def to_json(self) -> dict[str, Any]:
        features = None if self.features is None else sorted(self.features)
        return {"fingerprint": self.fingerprint.to_json(), "features": features}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        features = document["features"]
        return cls(
            fingerprint=Fingerprint.from_json(document["fingerprint"]),
            features=None if features is None else frozenset(features),
        )


NO_FACTS = SiteFacts()


class Site(Closeable):
    """A place where compiled code runs."""

    @classmethod
    @abstractmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Open the site that a request describes; ``kind`` is its name in ``catalogue``."""

    @abstractmethod
    def load(self, library: Path, input_shape: Sequence[int]) -> RunningNetwork:
        """Return the network of a compiled library, ready to run."""

    def facts(self) -> SiteFacts:
        """Return which machine it is, as far as it tells: by default nothing."""
        return NO_FACTS

    def load_kernels(self, executable: Any) -> tuple[Any, Any]:
        """Return TVM's module of what its compiler made, ready to be called, and TVM's device.

        Raises:
            BadArgument: nothing may be timed there; so by default, and so for the next two.
        """
        raise BadArgument(NO_TIMES)

    def prepared(self) -> AbstractContextManager[None]:
        """Keep the timed threads to processors of their own meanwhile, where that can be done."""
        raise BadArgument(NO_TIMES)

    def observe(self) -> Snapshot:
        """Return a snapshot of the machine and of the processors that are timed on."""
        raise BadArgument(NO_TIMES)

    def close(self) -> None:
        """Give back what is held: nothing, by default."""
