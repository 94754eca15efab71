"""Where does the large network of the gallery side come from, and what did it embed?"""

from dataclasses import dataclass
from pathlib import Path

import click

from cmpc.cli.cache_size import cache_size_option
from cmpc.cli.gallery_ensemble import ensemble
from cmpc.cli.gallery_import import import_
from cmpc.cli.gallery_shipped import shipped
from cmpc.cli.names import NameChoice, augmentation_option
from cmpc.cli.options import (
    FOLDER,
    cache_dir_option,
    compute_option,
    config_option,
    data_option,
    filled,
    json_option,
    resolve_settings,
    set_up_compute,
    threads_option,
)
from cmpc_search.networks.gallery.catalogue import GALLERY_NETWORKS

__all__ = ["gallery"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainGalleryOptions:
    """What is typed beside the settings of a gallery network's training."""

    folder: Path
    threads: int | None
    compute_device: str | None
    toml_path: Path | None
    cache_dir: Path
    as_json: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbedGalleryOptions:
    """What a gallery shall embed, and how."""

    folder: Path
    data_set: str | None
    views_per_item: int | None
    threads: int | None
    compute_device: str | None
    cache_dir: Path
    as_json: bool


@click.group()
def gallery() -> None:
    """Train, import, average or apply the large network of the gallery side.

    A gallery is a folder: the network, its classifier, and its embeddings of a data set. The
    network is frozen from then on; query networks are searched to fit it.

    \b
    Examples:
      cmpc gallery train galleries/emoji --data emoji
      cmpc gallery embed galleries/emoji --data emoji
      cmpc gallery import galleries/shop --network large.onnx --data shop.csv
    """


@gallery.command()
@click.argument("folder", metavar="GALLERY", type=FOLDER)
@click.option("--data", metavar="NAME|PATH", help="Data set.  [default: emoji]")
@click.option(
    "--further-data",
    metavar="NAME|PATH",
    multiple=True,
    help="A data set whose pictures of training classes are trained on, too; can be repeated.",
)
@click.option(
    "--network",
    type=NameChoice(GALLERY_NETWORKS),
    help="Preset of the network.  [default: residual-small]",
)
@click.option("--depths", help="Blocks of each stage, such as 2,2,2.  [default: the preset's]")
@click.option("--width", type=int, help="Channels of the first stage.  [default: the preset's]")
@click.option("--input-size-px", type=int, help="Size of the images.  [default: the preset's]")
@click.option("--embedding-dim", type=int, help="Length of the embedding.  [default: 128]")
@click.option(
    "--pretrained/--no-pretrained",
    "training_pretrained",
    default=None,
    help="Start from published weights, if there are any.  [default: pretrained]",
)
@augmentation_option
@click.option("--num-steps", "training_num_steps", type=int, help="Updates in all.")
@click.option("--seed", type=int, help="Seed of everything drawn at random.  [default: 0]")
@click.option(
    "--split-seed",
    type=int,
    help="Decides which classes validate, and which images ask.  [default: 0]",
)
@threads_option
@compute_option
@config_option
@cache_dir_option
@cache_size_option
@json_option
@filled(TrainGalleryOptions)
def train(options: TrainGalleryOptions) -> None:
    """Train a large network on the training classes of a data set.

    A gallery that was trained with the same settings on the same data is left as it is. The
    default settings are those of residual-small on small drawings. The EfficientNets start from
    published weights, which come with the extra `pretrained`.

    \b
    Examples:
      cmpc gallery train galleries/emoji --data emoji --further-data emoji9
      cmpc gallery train galleries/sketches --data sketches.csv --input-size-px 64
      cmpc gallery train galleries/shop --data shop.csv --network efficientnet-lite2
    """
    from cmpc.cli.publishing import publish
    from cmpc.progress import TerminalObserver
    from cmpc.reports.galleries import gallery_report
    from cmpc_search.stages.gallery_making import GalleryTrainOrder, run_gallery_training
    from cmpc_search.stages.settings import GallerySettings

    order = GalleryTrainOrder(
        folder=options.folder,
        settings=resolve_settings(GallerySettings, "gallery", options.toml_path),
        cache_dir=options.cache_dir,
    )
    set_up_compute(options.compute_device, options.threads, options.toml_path)
    found = run_gallery_training(order, TerminalObserver())
    publish(gallery_report(found), as_json=options.as_json)


@gallery.command()
@click.argument("folder", metavar="GALLERY", type=FOLDER)
@data_option
@click.option(
    "--views-per-item",
    type=click.IntRange(min=1, max=64),
    help="Let the embedding of a gallery item be the mean over so many mild views of it, from now "
    "on; queries have one.  [default: as before, first 1]",
)
@threads_option
@compute_option
@cache_dir_option
@cache_size_option
@json_option
@filled(EmbedGalleryOptions)
def embed(options: EmbedGalleryOptions) -> None:
    """Embed a data set with a gallery's network and keep the result.

    Without --data it is the set that the gallery was made with. A gallery keeps the embeddings of
    several data sets side by side.

    \b
    Examples:
      cmpc gallery embed galleries/emoji --data emoji
      cmpc gallery embed galleries/emoji --views-per-item 5
    """
    from cmpc.cli.publishing import publish
    from cmpc.progress import TerminalObserver
    from cmpc.reports.galleries import embedded_report
    from cmpc_search.stages.gallery_making import GalleryEmbedOrder, run_gallery_embedding

    set_up_compute(options.compute_device, options.threads)
    order = GalleryEmbedOrder(
        folder=options.folder,
        cache_dir=options.cache_dir,
        data=options.data_set,
        views_per_item=options.views_per_item,
    )
    found = run_gallery_embedding(order, TerminalObserver())
    publish(embedded_report(found), as_json=options.as_json)


gallery.add_command(ensemble)
gallery.add_command(import_)
gallery.add_command(shipped)
