"""What can the picked architecture learn when it has the weights to itself?"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.cache_size import cache_size_option
from cmpc.cli.options import (
    cache_dir_option,
    compute_option,
    config_option,
    filled,
    json_option,
    moved_data_option,
    moved_gallery_option,
    resolve_settings,
    run_folder_argument,
    set_up_compute,
    threads_option,
)

if TYPE_CHECKING:
    from cmpc_search.stages.training import TrainOrder

__all__ = ["train"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainOptions:
    """What is typed beside the settings of a training."""

    run_folder: Path
    gallery_path: Path | None
    data_set: str | None
    how: str | None
    seeds: int
    new_galleries: bool
    threads: int | None
    compute_device: str | None
    toml_path: Path | None
    cache_dir: Path
    as_json: bool

    def order(self) -> "TrainOrder":
        """Return what is ordered."""
        from cmpc_search.stages.settings import TrainSettings
        from cmpc_search.stages.training import TrainOrder

        return TrainOrder(
            run_folder=self.run_folder,
            settings=resolve_settings(TrainSettings, "train", self.toml_path),
            cache_dir=self.cache_dir,
            how=self.how,
            num_seeds=self.seeds,
            has_new_galleries=self.new_galleries,
            gallery_folder=self.gallery_path,
            data=self.data_set,
        )


@click.command()
@run_folder_argument
@moved_gallery_option
@moved_data_option
@click.option("--pick", "how", help="Pick anew, as `cmpc pareto --pick`.")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many times to train, each from views and a supernet of its own.",
)
@click.option(
    "--new-galleries",
    is_flag=True,
    help="Train a new gallery network for each seed after the first, as the run's was trained.",
)
@click.option("--num-steps", "pick_num_steps", type=int, help="Updates of each training.")
@click.option("--control-steps", type=int, help="Updates of the control; 0 trains none.")
@threads_option
@compute_option
@config_option
@cache_dir_option
@cache_size_option
@json_option
@filled(TrainOptions)
def train(options: TrainOptions) -> None:
    """Train the picked architecture on its own, from its supernet weights.

    Seed 0 starts from the supernet of the search. Each other seed repeats the training from views
    and a supernet of its own; with --new-galleries also from a gallery network of its own, which is
    kept in the run. They tell how much a result owes to one training; `cmpc build` ships those that
    fit the run's own gallery. What is trained already is left as it is, and after a kill the
    command goes on with the part that was at work.

    Beside it a control of the same architecture is trained without the gallery. It is a check and
    no baseline: across networks it must be near chance.

    \b
    Examples:
      cmpc train runs/emoji
      cmpc train runs/emoji --pick knee --seeds 3
      cmpc train runs/emoji --seeds 3 --new-galleries
    """
    from cmpc.cli.publishing import publish
    from cmpc.progress import TerminalObserver
    from cmpc.reports.training import training_report
    from cmpc_search.stages.training import run_training

    order = options.order()
    set_up_compute(options.compute_device, options.threads, options.toml_path)
    found = run_training(order, TerminalObserver())
    publish(training_report(found), as_json=options.as_json)
