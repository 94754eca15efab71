"""Is what the search found better than anything simple?"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.cache_size import cache_size_option
from cmpc.cli.names import NameChoice
from cmpc.cli.options import (
    FILE,
    cache_dir_option,
    compute_option,
    filled,
    json_option,
    moved_data_option,
    moved_gallery_option,
    run_folder_argument,
    set_up_compute,
    threads_option,
)
from cmpc_search.stages.baselines.catalogue import BASELINES

if TYPE_CHECKING:
    from cmpc_search.stages.evidence import EvidenceOrder

__all__ = ["evidence"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EvidenceOptions:
    """Which run's pick to hold against what."""

    run_folder: Path
    gallery_path: Path | None
    data_set: str | None
    rows: tuple[str, ...]
    random: int
    seeds: int | None
    steps: int | None
    rank_correlation: int | None
    picture: Path | None
    threads: int | None
    compute_device: str | None
    cache_dir: Path
    as_json: bool

    def order(self) -> "EvidenceOrder":
        """Return what is ordered."""
        from cmpc_search.stages.evidence import EvidenceOrder

        return EvidenceOrder(
            run_folder=self.run_folder,
            cache_dir=self.cache_dir,
            rows=tuple(dict.fromkeys(self.rows)) or tuple(BASELINES),
            num_random=self.random,
            num_seeds=self.seeds,
            num_steps=self.steps,
            num_ranked=self.rank_correlation or 0,
            gallery_folder=self.gallery_path,
            data=self.data_set,
        )


@click.command()
@run_folder_argument
@moved_gallery_option
@moved_data_option
@click.option(
    "--rows",
    multiple=True,
    type=NameChoice(BASELINES),
    help="Hold the pick against this alone; may be given again.  [default: all]",
)
@click.option(
    "--random",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How many random architectures, of at most the MACs of the pick.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    help="How many times to train each network.  [default: as the pick was]",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="Updates of each training.  [default: as many as the pick's]",
)
@click.option(
    "--rank-correlation",
    type=click.IntRange(min=2),
    metavar="K",
    help="Train K architectures on their own too, and tell whether the search's reward orders "
    "them alike (16 or more say something).",
)
@click.option("--picture", type=FILE, help="Draw accuracies over MACs into this PNG.")
@threads_option
@compute_option
@cache_dir_option
@cache_size_option
@json_option
@filled(EvidenceOptions)
def evidence(options: EvidenceOptions) -> None:
    """Hold the trained pick of a run against simpler networks, on the test classes.

    Each of these is trained as the pick was, for as many steps from the same views, with each of
    its seeds: random architectures of at most its MACs, drawn as dear as they may be; MobileNetV2
    and ShuffleNetV2 scaled to its MACs; and its own architecture from random weights, by BCT alone,
    by regression alone, and without the gallery (independent; what counts is then its M(q,q)). The
    gallery network on both sides, the paragon, stands beside them.

    Differences to the pick are in top-1 over the same queries and seeds, with paired 95% intervals.
    What is trained is kept in RUN/baselines: after a kill the command goes on with the network that
    was at work. One that can't be trained is told, and the others go on. Choose nothing by these
    numbers: test classes are for telling, and validation classes for choosing.

    \b
    Examples:
      cmpc evidence runs/emoji
      cmpc evidence runs/emoji --seeds 3 --picture evidence.png
      cmpc evidence runs/emoji --rows random --random 10
    """
    from cmpc.cli.output_files import PNG, check_output
    from cmpc.cli.publishing import publish
    from cmpc.output import say
    from cmpc.progress import TerminalObserver
    from cmpc.reports.evidence import evidence_image, evidence_report
    from cmpc_search.stages.evidence import run_evidence

    if options.picture is not None:
        check_output("--picture", options.picture, PNG)
    set_up_compute(options.compute_device, options.threads)
    found = run_evidence(options.order(), observer=TerminalObserver())
    if options.picture is not None:
        from cmpc.pictures import save_picture

        save_picture(evidence_image(found), options.picture)
        say(f"drew {options.picture}")
    publish(evidence_report(found), as_json=options.as_json)
