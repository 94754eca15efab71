"""Which commands exist, in the order in which a user meets them.

Each row says in one line what the command does, so that `cmpc --help` shows them all and imports
none. A test holds each line equal to the first sentence of the command's own help.
"""

from dataclasses import dataclass

__all__ = ["COMMANDS", "CommandEntry"]


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """Where a command lives and what it does.

    Attributes:
        path: ``module:attribute``.
        reads_settings: Whether a settings file may have a table of the command's name.
    """

    path: str
    short_help: str
    reads_settings: bool = False


COMMANDS = {
    "doctor": CommandEntry(
        "cmpc.cli.doctor:doctor", "Check that this machine has what cmpc needs."
    ),
    "pipeline": CommandEntry(
        "cmpc.cli.pipeline:pipeline",
        "Do the whole job, from a data set to a query network that answers.",
        reads_settings=True,
    ),
    "targets": CommandEntry(
        "cmpc.cli.targets:targets",
        "List what networks can be compiled for, and fetch what a target needs.",
    ),
    "data": CommandEntry("cmpc.cli.data:data", "List, prepare and look at data sets."),
    "gallery": CommandEntry(
        "cmpc.cli.gallery:gallery",
        "Train, import, average or apply the large network of the gallery side.",
        reads_settings=True,
    ),
    "search": CommandEntry(
        "cmpc.cli.search:search",
        "Search query networks that fit a gallery, and measure each on the target.",
        reads_settings=True,
    ),
    "tune": CommandEntry(
        "cmpc.cli.tune:tune", "Measure schedules of a network's kernels and keep the fastest."
    ),
    "pareto": CommandEntry(
        "cmpc.cli.pareto:pareto", "Show the front of a run and pick a candidate from it."
    ),
    "train": CommandEntry(
        "cmpc.cli.train:train",
        "Train the picked architecture on its own, from its supernet weights.",
        reads_settings=True,
    ),
    "evaluate": CommandEntry(
        "cmpc.cli.evaluate:evaluate", "Judge the trained pick of a run on the test classes."
    ),
    "evidence": CommandEntry(
        "cmpc.cli.evidence:evidence",
        "Hold the trained pick of a run against simpler networks, on the test classes.",
    ),
    "profile": CommandEntry(
        "cmpc.cli.profile:profile",
        "Time each kernel of a network, and say how close it is to the machine's limits.",
    ),
    "build": CommandEntry(
        "cmpc.cli.build:build",
        "Write the trained pick as a bundle: compiled network, runtime, runner, manifest.",
    ),
    "run": CommandEntry(
        "cmpc.cli.run:run", "Embed pictures with the compiled network of a bundle."
    ),
    "index": CommandEntry(
        "cmpc.cli.index:index",
        "Turn gallery embeddings into an index that `cmpc query` searches.",
    ),
    "query": CommandEntry(
        "cmpc.cli.query:query", "Find the gallery items that look like a picture."
    ),
    "cache": CommandEntry(
        "cmpc.cli.cache:cache", "Show what the cache holds, and make it smaller."
    ),
}
