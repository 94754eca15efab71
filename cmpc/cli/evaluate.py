"""What is a finished run worth, on images that nothing has seen?"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.cache_size import cache_size_option
from cmpc.cli.names import NameChoice
from cmpc.cli.options import (
    cache_dir_option,
    compute_option,
    device_option,
    filled,
    json_option,
    moved_data_option,
    moved_gallery_option,
    run_folder_argument,
    set_up_compute,
    threads_option,
)
from cmpc_search.evaluation.catalogue import PROTOCOLS

if TYPE_CHECKING:
    from cmpc_search.stages.evaluating import EvaluationOrder

__all__ = ["evaluate"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateOptions:
    """Which run to judge, and how."""

    run_folder: Path
    gallery_path: Path | None
    data_set: str | None
    other_data: str | None
    queries_per_gallery_image: float
    protocol: str
    new_galleries: bool
    device: str | None
    threads: int | None
    compute_device: str | None
    cache_dir: Path
    as_json: bool

    def order(self) -> "EvaluationOrder":
        """Return what is ordered."""
        from cmpc_search.stages.evaluating import EvaluationOrder

        return EvaluationOrder(
            run_folder=self.run_folder,
            cache_dir=self.cache_dir,
            protocol=self.protocol,
            new_galleries=self.new_galleries,
            queries_per_gallery_image=self.queries_per_gallery_image,
            gallery_folder=self.gallery_path,
            data=self.data_set,
            other_data=self.other_data,
            device=self.device,
        )


@click.command()
@run_folder_argument
@moved_gallery_option
@moved_data_option
@click.option(
    "--other-data",
    metavar="NAME|PATH",
    help="Judge on the test classes of this data set, in place of the run's own.",
)
@click.option(
    "--queries-per-gallery-image",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="How often a gallery image is paid for by queries, for the amortised cost.",
)
@click.option(
    "--protocol",
    type=NameChoice(PROTOCOLS),
    default="open-set",
    show_default=True,
    help="What is asked of the embeddings beside the ranking of the gallery.",
)
@click.option(
    "--new-galleries",
    is_flag=True,
    help="Judge the seeds that were trained with it, each beside a gallery network of its own.",
)
@device_option
@threads_option
@compute_option
@cache_dir_option
@cache_size_option
@json_option
@filled(EvaluateOptions)
def evaluate(options: EvaluateOptions) -> None:
    """Judge the trained pick of a run on the test classes.

    Prints M(q,q), M(q,g) and the paragon M(g,g) with 95% intervals over queries, whether the rule
    M(q,g) > M(q,q) holds, does not, or can't be told from these queries, and what query and gallery
    network cost: counted arithmetic and measured latency, predicted where the target has no device.
    What each query found is kept in RUN/evaluation.npz. The device is that of the search, if none
    is named. A latency marked * was unstable, one that nobody can predict is told as not known; the
    exit code is then 3.

    With --other-data the gallery network embeds another data set's test classes, and it is said
    which of them the networks were trained on; that is kept in RUN/other-data/, apart from the
    run's own evaluation.

    \b
    Examples:
      cmpc evaluate runs/emoji
      cmpc evaluate runs/emoji --other-data emoji9
    """
    from cmpc.cli.publishing import publish, require_trust
    from cmpc.progress import TerminalObserver
    from cmpc.reports.evaluation import evaluation_report
    from cmpc_search.stages.evaluating import run_evaluation

    set_up_compute(options.compute_device, options.threads)
    found = run_evaluation(options.order(), observer=TerminalObserver())
    report = evaluation_report(found)
    publish(report, as_json=options.as_json)
    require_trust(report)
