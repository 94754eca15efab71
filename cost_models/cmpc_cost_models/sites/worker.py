"""The process where a site is: it compiles here, and checks and times networks at the site.

Every request names its site, so that a fresh worker answers like the one that was lost. The site
is kept from one request to the next.

    {"verb": "connect", "site"}                                       -> SiteFacts
    {"verb": "compile", "site", "onnx_path", "order"}                 -> CompiledNetwork
    {"verb": "check", "site", "library", "input_shape", "onnx_path"}  -> Agreement
    {"verb": "time", "site", "networks", "settings"}                  -> Blocks
"""

from collections.abc import Mapping
from pathlib import Path

from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.compiling.options import CompileOrder
from cmpc_cost_models.records.evidence import TimingSettings
from cmpc_cost_models.schedules.source import open_schedules
from cmpc_cost_models.sites.agreement import compare
from cmpc_cost_models.sites.base import Site
from cmpc_cost_models.sites.catalogue import open_site
from cmpc_cost_models.timing.blocks import time_in_turn, with_single_runs
from cmpc_cost_models.workers.serving import Document, Verb, serve

__all__ = ["SiteWorker", "main"]


def main() -> None:
    """Answer requests until the input ends."""
    serve(SiteWorker().verbs())


class SiteWorker:
    """The site of the latest request, and what can be asked there."""

    def __init__(self) -> None:
        self._described: Document = {}
        self._site: Site | None = None

    def verbs(self) -> Mapping[str, Verb]:
        return {
            "connect": self.connect,
            "compile": self.compile,
            "check": self.check,
            "time": self.time,
        }

    def connect(self, site: Document) -> Document:
        """Open the site, anew if it was open, and return what it tells of its machine."""
        self.close()
        return self.site(site).facts().to_json()

    def close(self) -> None:
        """Leave the site: a device's server talks to one client at a time."""
        if self._site is not None:
            self._site.close()
        self._site = None

    def site(self, described: Document) -> Site:
        """Return the site that a request describes, opened unless it is."""
        if self._site is None or described != self._described:
            self.close()
            self._site = open_site(described)
            self._described = described
        return self._site

    def compile(self, site: Document, onnx_path: str, order: Document) -> Document:
        """Compile a network, with the schedules that were tuned for the target by now."""
        wanted = CompileOrder.from_json(order)
        # Opened anew for each network: what others have tuned meanwhile serves this one already.
        schedules = wanted.schedules_dir and open_schedules(
            wanted.schedules_dir, wanted.target, self.site(site).facts().fingerprint.cpu_model
        )
        return compile_network(
            Path(onnx_path),
            wanted.target,
            cache_dir=wanted.cache_dir,
            num_threads=wanted.num_threads,
            schedules=schedules or None,
        ).to_json()

    def check(
        self, site: Document, library: str, input_shape: list[int], onnx_path: str
    ) -> Document:
        """Compare the library's answers with ONNX Runtime's, given here on the same images."""
        network = self.site(site).load(Path(library), input_shape)
        return compare(network.run, onnx_path, input_shape).to_json()

    def time(self, site: Document, networks: list[Document], settings: Document) -> Document:
        """Time the networks in turn, block by block, so that whatever drifts hits all alike."""
        place, how = self.site(site), TimingSettings(**settings)
        with place.prepared():
            loaded = [place.load(Path(one["library"]), one["input_shape"]) for one in networks]
            runners = [network.time_ms for network in loaded]
            blocks = time_in_turn(runners, how, observe=place.observe)
            return with_single_runs(blocks, [one.single_ms for one in loaded], how).to_json()


if __name__ == "__main__":
    main()
