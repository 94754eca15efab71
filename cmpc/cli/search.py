"""Which query network is worth its cost? The command that cmpc is about."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.cache_size import cache_size_option
from cmpc.cli.names import COSTS, NameChoice, NameSum, augmentation_option
from cmpc.cli.options import (
    FOLDER,
    cache_dir_option,
    compute_option,
    config_option,
    device_option,
    filled,
    json_option,
    resolve_settings,
    run_folder_argument,
    set_up_compute,
    threads_option,
)
from cmpc_search.compatibility.catalogue import METHODS, PLUS
from cmpc_search.space.presets.catalogue import SPACES
from cmpc_search.study.rewards.catalogue import REWARDS
from cmpc_search.study.samplers.catalogue import SAMPLERS

if TYPE_CHECKING:
    from cmpc_search.stages.searching import SearchOrder

__all__ = ["search"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchOptions:
    """What is typed beside the settings of a search."""

    run_folder: Path
    gallery_path: Path
    threads: int | None
    compute_device: str | None
    fresh: bool
    toml_path: Path | None
    cache_dir: Path
    as_json: bool

    def order(self) -> "SearchOrder":
        """Return what is ordered."""
        from cmpc.settings.targets import named_target
        from cmpc_cost_models.targets.table import HOST
        from cmpc_search.stages.searching import SearchOrder
        from cmpc_search.stages.settings import SearchSettings

        settings = resolve_settings(SearchSettings, "search", self.toml_path)
        is_here = settings.target == HOST  # a search by MACs needs no compiler, and so no target
        return SearchOrder(
            run_folder=self.run_folder,
            gallery_folder=self.gallery_path,
            settings=settings,
            cache_dir=self.cache_dir,
            target=None if is_here else named_target(settings.target, self.toml_path),
            begins_again=self.fresh,
        )


@click.command()
@run_folder_argument
@click.option(
    "--gallery",
    "gallery_path",
    type=FOLDER,
    required=True,
    help="A folder made by `cmpc gallery`.",
)
@click.option("--data", metavar="NAME|PATH", help="Data set.  [default: that of the gallery]")
@click.option("--target", metavar="NAME", help="What to compile for.  [default: host]")
@device_option
@click.option("--space", type=NameChoice(SPACES), help="Search space.  [default: small]")
@click.option(
    "--method",
    type=NameSum(METHODS, PLUS),
    help="Compatibility method, or several with + between them; their weights and other settings "
    "are set in [search.method_settings] of the file.  [default: bct+regression]",
)
@click.option(
    "--reward",
    type=NameChoice(REWARDS),
    help="What is maximised; homogeneous, heterogeneous and product are R1, R2 and R3 of CMP-NAS, "
    "mrr is the mean reciprocal rank of M(q, g), cosine that to the gallery network's embedding of "
    "the query.  [default: mrr+cosine]",
)
@click.option(
    "--cost",
    type=NameChoice(COSTS),
    help="Latency is measured or predicted, MACs are counted.  [default: latency]",
)
@click.option(
    "--sampler",
    type=NameChoice(SAMPLERS),
    help="Who proposes candidates.  [default: nsga2]",
)
@augmentation_option
@click.option("--trials", type=int, help="Candidates to score in all.  [default: 48]")
@click.option("--budget-ms", type=float, help="Latency limit in milliseconds.")
@click.option("--budget-mmacs", type=float, help="Limit in million multiply-accumulates.")
@click.option("--seed", type=int, help="Seed of everything drawn at random.  [default: 0]")
@threads_option
@compute_option
@click.option("--fresh", is_flag=True, help="Begin again; the old run is kept aside.")
@config_option
@cache_dir_option
@cache_size_option
@json_option
@filled(SearchOptions)
def search(options: SearchOptions) -> None:
    """Search query networks that fit a gallery, and measure each on the target.

    Trains a supernet against the frozen gallery network, then lets Optuna propose architectures:
    each is scored on validation classes, compiled through TVM and timed. At its end a handful of
    the best is trained for a while, to pick from, and the front is timed again, together. Run again
    on the same RUN, it goes on where it stopped, even after a kill. A latency marked * was
    unstable; if one is on the front, all is kept and the exit code is 3.

    For a target that this machine can't run, latencies are predicted, and marked so wherever they
    show; with --device they are measured there. A candidate with an operator that has no prediction
    is kept as one of unknown cost; where all are, the exit code is 3.

    \b
    Examples:
      cmpc search runs/emoji --gallery galleries/emoji --target host --budget-mmacs 5.2
      cmpc search runs/faces --gallery galleries/faces --data faces.csv --cost macs
      cmpc search runs/board --gallery galleries/emoji --target arm
      cmpc search runs/board --gallery galleries/emoji --target arm --device rpc://board:9090
    """
    from cmpc.cli.publishing import publish, require_trust
    from cmpc.progress import TerminalObserver
    from cmpc.reports.front import search_report
    from cmpc_search.stages.searching import run_search

    order = options.order()
    set_up_compute(options.compute_device, options.threads, options.toml_path)
    result = run_search(order, observer=TerminalObserver())
    report = search_report(result)
    publish(report, as_json=options.as_json)
    if result.front or not result.summary.counts.running:
        result.best()  # raises if none will do, which is not known while others are at work
    require_trust(report)
