"""How does one get from a data set to a query network that answers, in one command?"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.cache_size import cache_size_option
from cmpc.cli.names import COSTS, GALLERY_NETWORK_WAYS, NameChoice
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
from cmpc_search.space.presets.catalogue import SPACES

if TYPE_CHECKING:
    from cmpc.reports.base import Report
    from cmpc_search.stages.pipeline_records import PipelineOrder, StageResult
    from cmpc_search.stages.pipeline_times import Stage

__all__ = ["pipeline"]

SECONDS_BETWEEN_LINES = 20.0  # of progress, where no bar is shown: a job takes some ten minutes


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineOptions:
    """What is typed beside the settings of a pipeline and its stages."""

    run_folder: Path
    gallery_path: Path
    bundle_folder: Path | None
    threads: int | None
    compute_device: str | None
    toml_path: Path | None
    cache_dir: Path
    as_json: bool

    def order(self) -> "PipelineOrder":
        """Return what is ordered; the data are those of the gallery's settings."""
        from cmpc.settings.targets import named_target
        from cmpc_cost_models.targets.table import HOST
        from cmpc_search.stages import settings
        from cmpc_search.stages.pipeline_records import PipelineOrder

        gallery = resolve_settings(settings.GallerySettings, "gallery", self.toml_path)
        search = resolve_settings(settings.PipelineSearchSettings, "search", self.toml_path)
        is_here = search.target == HOST
        return PipelineOrder(
            run_folder=self.run_folder,
            gallery_folder=self.gallery_path,
            bundle_folder=self.bundle_folder or self.run_folder / "bundle",
            cache_dir=self.cache_dir,
            gallery=gallery,
            search=search,
            train=resolve_settings(settings.TrainSettings, "train", self.toml_path),
            choices=resolve_settings(settings.PipelineSettings, "pipeline", self.toml_path),
            target=None if is_here else named_target(search.target, self.toml_path),
        )


@click.command()
@run_folder_argument
@click.option(
    "--gallery",
    "gallery_path",
    type=FOLDER,
    required=True,
    help="Where the gallery is, or will be.",
)
@click.option(
    "--out",
    "bundle_folder",
    type=FOLDER,
    help="The bundle to write.  [default: RUN/bundle]",
)
@click.option(
    "--gallery-network",
    type=NameChoice(GALLERY_NETWORK_WAYS),
    help="Take the network that comes with cmpc, or train one.  [default: what is in the gallery "
    "already, else the one that comes, if one does]",
)
@click.option("--data", metavar="NAME|PATH", help="Data set.  [default: emoji]")
@click.option("--target", metavar="NAME", help="What to compile for.  [default: host]")
@device_option
@click.option("--space", type=NameChoice(SPACES), help="Search space.  [default: small]")
@click.option(
    "--cost",
    type=NameChoice(COSTS),
    help="Latency is measured or predicted, MACs are counted.  [default: latency]",
)
@click.option("--trials", type=int, help="Candidates to score in all.  [default: 48]")
@click.option("--budget-ms", type=float, help="Latency limit in milliseconds.")
@click.option(
    "--budget-mmacs", type=float, help="Limit in million multiply-accumulates.  [default: 5.2]"
)
@click.option("--seed", type=int, help="Seed of everything drawn at random.  [default: 0]")
@threads_option
@compute_option
@config_option
@cache_dir_option
@cache_size_option
@json_option
@filled(PipelineOptions)
def pipeline(options: PipelineOptions) -> None:
    """Do the whole job, from a data set to a query network that answers.

    The stages are those of the single commands, with the same defaults but for the budget: data
    prepare, gallery train or shipped, gallery embed, search, pareto, train, evaluate, build, index,
    query. What is done already is not done again: after a kill the same command goes on. The tables
    [gallery], [search] and [train] of the settings file say how each works.

    In RUN it leaves front.png, queries.png, gallery.index, the bundle, and in times.json what each
    stage took. An unstable latency stops nothing, but is told at the end and makes the exit code 3;
    `cmpc evaluate` times again.

    \b
    Examples:
      cmpc pipeline runs/emoji --gallery galleries/emoji
      cmpc pipeline runs/shop --gallery galleries/shop --data shop.csv --gallery-network train
    """
    from cmpc.cli.output_files import PNG, check_bundle_output, check_output
    from cmpc.cli.publishing import publish, require_trust
    from cmpc.progress import TerminalObserver
    from cmpc.reports.pipeline import PICTURES, pipeline_report
    from cmpc_search.stages.pipeline import run_pipeline

    order = options.order()
    check_bundle_output("--out", order.bundle_folder)
    for name in PICTURES:
        check_output("RUN", order.run_folder / name, PNG)
    set_up_compute(options.compute_device, options.threads, options.toml_path)
    told: dict[Stage, Report] = {}

    def on_result(found: "StageResult") -> None:
        told[found.stage] = show(order, found, as_json=options.as_json)

    done = run_pipeline(order, TerminalObserver(SECONDS_BETWEEN_LINES), on_result)
    report = pipeline_report(order, told, done.times)
    publish(report, as_json=options.as_json)
    require_trust(report)


def show(order: "PipelineOrder", found: "StageResult", *, as_json: bool) -> "Report":
    """Show what a stage left, and draw its picture; a JSON document comes at the end."""
    from cmpc.cli.publishing import publish
    from cmpc.output import say
    from cmpc.pictures import save_picture
    from cmpc.reports.pipeline import stage_picture, stage_report

    report = stage_report(order, found)
    if not as_json:
        publish(report, as_json=False)
    if (drawn := stage_picture(found)) is not None:
        name, image = drawn
        save_picture(image, order.run_folder / name)
        say(f"drew {order.run_folder / name}")
    return report
