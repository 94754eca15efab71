"""Where does the large network of the gallery side come from, and what did it embed?"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.names import GALLERY_NETWORKS, NameChoice
from cmpc.cli.options import (
    EXISTING_FILE,
    FOLDER,
    cache_dir_option,
    config_option,
    data_option,
    ids_option,
    json_option,
    resolve_settings,
    split_seed_option,
    threads_option,
)

if TYPE_CHECKING:
    from cmpc_search.gallery import Gallery
    from cmpc_search.stages.settings import GallerySettings

__all__ = ["gallery"]


@click.group()
def gallery() -> None:
    """Train, import or apply the large network of the gallery side.

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
    "--network",
    type=NameChoice(GALLERY_NETWORKS),
    help="Preset of the network.  [default: residual-small]",
)
@click.option("--depths", help="Blocks of each stage, such as 2,2,2.  [default: the preset's]")
@click.option("--width", type=int, help="Channels of the first stage.  [default: the preset's]")
@click.option("--input-size-px", type=int, help="Size of the images.  [default: the preset's]")
@click.option("--num-steps", "training_num_steps", type=int, help="Updates in all.")
@click.option("--seed", type=int, help="Seed of everything drawn at random.  [default: 0]")
@click.option(
    "--split-seed",
    type=int,
    help="Decides which classes validate, and which images ask.  [default: 0]",
)
@threads_option
@config_option
@cache_dir_option
@json_option
@click.pass_context
def train(ctx: click.Context, /, **_: object) -> None:
    """Train a residual network on the training classes of a data set.

    A gallery that was trained with the same settings on the same data is left as it is. The
    default settings are those of residual-small on small drawings.

    \b
    Examples:
      cmpc gallery train galleries/emoji --data emoji
      cmpc gallery train galleries/sketches --data sketches.csv --input-size-px 64
    """
    from cmpc.output import say
    from cmpc.progress import progress
    from cmpc_search.gallery import RECORD_FILE, check_free, existing_gallery
    from cmpc_search.stages.gallery_training import load_training_set, train_gallery
    from cmpc_search.stages.settings import GallerySettings
    from cmpc_search.training.compute import set_up_torch

    options = ctx.params
    settings = resolve_settings(GallerySettings, "gallery", options["toml_path"])
    set_up_torch(options["threads"])
    folder = options["folder"]
    if not (folder / RECORD_FILE).exists():
        check_free(folder)
    with progress(f"Preparing {settings.data}") as steps:
        image_set = load_training_set(settings, cache_dir=options["cache_dir"], progress=steps)
    if existing_gallery(folder, image_set, facts=settings.model_dump(mode="json")) is not None:
        say(f"{folder} is trained already")
    elif advice := training_advice(settings):
        say(advice)
    with progress("Training the gallery network") as steps:
        found = train_gallery(
            folder,
            settings,
            image_set,
            progress=steps,
            on_wait=say,
        )
    show(found, as_json=options["as_json"])


@gallery.command()
@click.argument("folder", metavar="GALLERY", type=FOLDER)
@data_option
@threads_option
@cache_dir_option
@json_option
def embed(
    folder: Path, data_set: str | None, threads: int | None, cache_dir: Path, as_json: bool
) -> None:
    """Embed a data set with a gallery's network and keep the result.

    Without --data it is the set that the gallery was made with. A gallery keeps the embeddings of
    several data sets side by side.

    \b
    Example:
      cmpc gallery embed galleries/emoji --data emoji
    """
    from cmpc.cli import data_sets
    from cmpc.output import emit, make_table
    from cmpc.progress import progress
    from cmpc_search.gallery import embed_gallery, open_gallery, remember_data
    from cmpc_search.stages.settings import absolute_data
    from cmpc_search.training.compute import set_up_torch

    set_up_torch(threads)
    opened = open_gallery(folder)
    named = data_set or opened.data
    if named is None:
        raise click.UsageError("name the data set to embed: --data")
    image_set = data_sets.prepare(
        named, size_px=opened.input_size_px, split_seed=opened.split_seed, cache_dir=cache_dir
    )
    with progress(f"Embedding {named}") as steps:
        embeddings = embed_gallery(opened, image_set, progress=steps)
    remember_data(opened, absolute_data(named))
    shown: dict[str, object] = {
        "gallery": folder,
        "data": image_set.name,
        "num_items": len(embeddings.rows),
        "embedding_dim": embeddings.rows.shape[1],
        "network_sha256": embeddings.network_sha256,
    }
    emit(shown, make_table(["gallery", ""], shown.items()), as_json=as_json)


@gallery.command("import")
@click.argument("folder", metavar="GALLERY", type=FOLDER)
@click.option(
    "--network", "onnx_path", type=EXISTING_FILE, help="The network as ONNX: image -> embedding."
)
@click.option(
    "--embeddings",
    "embeddings_path",
    type=EXISTING_FILE,
    help="Ready embeddings: safetensors with item_names, or .npy beside --ids.",
)
@ids_option
@click.option(
    "--classifier",
    "classifier_path",
    type=EXISTING_FILE,
    help="safetensors with `directions` [C, D] and `class_names`; class means stand in without.",
)
@data_option
@split_seed_option
@threads_option
@cache_dir_option
@json_option
def import_(
    folder: Path,
    onnx_path: Path | None,
    embeddings_path: Path | None,
    ids_path: Path | None,
    classifier_path: Path | None,
    data_set: str | None,
    split_seed: int,
    threads: int | None,
    cache_dir: Path,
    as_json: bool,
) -> None:
    """Make a gallery from a network of your own, or from its ready embeddings.

    The network reads float32 images [N, 3, S, S] in [0, 1] and gives one embedding each; N may be
    left open. Item names are those of `cmpc data show`. With --data the network embeds that set at
    once, unless embeddings are given too: these are kept, and 20 images are embedded to see that
    they are the network's.

    Everything is checked before anything is written: what was ended early can be given again.

    \b
    Examples:
      cmpc gallery import galleries/shop --network large.onnx --data shop.csv
      cmpc gallery import galleries/shop --embeddings shop.npy --ids shop.txt
    """
    from cmpc.cli import data_sets
    from cmpc.progress import progress
    from cmpc_search.data import ImageSet
    from cmpc_search.gallery import GallerySources, import_gallery
    from cmpc_search.stages.settings import absolute_data
    from cmpc_search.training.compute import set_up_torch

    set_up_torch(threads)
    sources = GallerySources(
        onnx_path=onnx_path,
        embeddings_path=embeddings_path,
        ids_path=ids_path,
        classifier_path=classifier_path,
        data=None if data_set is None else absolute_data(data_set),
        split_seed=split_seed,
    )

    def load_images(size_px: int) -> ImageSet:
        assert data_set is not None
        return data_sets.prepare(
            data_set, size_px=size_px, split_seed=split_seed, cache_dir=cache_dir
        )

    with progress("Embedding with the gallery network") as steps:
        imported = import_gallery(
            folder,
            sources,
            load_images=None if data_set is None else load_images,
            progress=steps,
        )
    show(imported, as_json=as_json)


def training_advice(settings: "GallerySettings") -> str | None:
    """Say it if a large network would be trained as nobody trains large networks."""
    from cmpc_search.training.gallery import GalleryTraining

    training = settings.training
    if settings.network == "residual-small" or training != GalleryTraining():
        return None
    num_images = training.num_steps * training.classes_per_batch * 2
    return (
        f"warning: {settings.network} is about to be trained as residual-small is on small "
        f"drawings: {num_images:,} images in all, and neither cropped nor mirrored. A network of "
        "its size learns little from that: set --num-steps and the table [gallery.training] of "
        "cmpc.toml, or import a trained one with `cmpc gallery import`"
    )


def show(found: "Gallery", *, as_json: bool) -> None:
    """Print what a gallery is."""
    from cmpc.output import emit, make_table

    facts: dict[str, object] = {
        "gallery": found.path,
        "data": found.data,
        "macs": found.macs,
        "parameters": found.record.get("parameters"),
        "embedding_dim": found.embedding_dim,
        "network_sha256": found.network_sha256,
    }
    if "lowest_cosine" in found.record:
        facts["lowest_cosine"] = found.record["lowest_cosine"]
    emit(facts, make_table(["gallery", ""], facts.items()), as_json=as_json)
