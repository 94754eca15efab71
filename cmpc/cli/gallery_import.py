"""The command that makes a gallery from a network of the user's own, or from ready embeddings."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.cache_size import cache_size_option
from cmpc.cli.options import (
    EXISTING_FILE,
    FOLDER,
    cache_dir_option,
    compute_option,
    data_option,
    filled,
    ids_option,
    json_option,
    set_up_compute,
    split_seed_option,
    threads_option,
)

if TYPE_CHECKING:
    from cmpc_search.gallery import OnnxReading
    from cmpc_search.stages.gallery_making import GalleryImportOrder

__all__ = ["import_"]

Colour = tuple[float, ...]


class ColourType(click.ParamType[Colour]):
    """Three numbers for red, green and blue."""

    name = "R,G,B"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Colour:
        try:
            numbers = tuple(map(float, str(value).split(",")))
        except ValueError:
            numbers = ()
        if len(numbers) != 3:
            self.fail(f"must be three numbers such as 0.5,0.5,0.5, got {value!r}", param, ctx)
        return numbers


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportOptions:
    """What a gallery shall be made from."""

    folder: Path
    onnx_path: Path | None
    mean: Colour | None
    std: Colour | None
    scale: float | None
    colour_order: str | None
    input_size_px: int | None
    crop_share: float | None
    output: str | None
    pool: str | None
    embeddings_path: Path | None
    ids_path: Path | None
    classifier_path: Path | None
    data_set: str | None
    split_seed: int
    threads: int | None
    compute_device: str | None
    cache_dir: Path
    as_json: bool

    def order(self) -> "GalleryImportOrder":
        """Return what is ordered."""
        from cmpc_search.gallery import GallerySources
        from cmpc_search.stages.gallery_making import GalleryImportOrder

        sources = GallerySources(
            onnx_path=self.onnx_path,
            reading=self.reading(),
            embeddings_path=self.embeddings_path,
            ids_path=self.ids_path,
            classifier_path=self.classifier_path,
            data=self.data_set,
            crop_share=self.crop_share,
            split_seed=self.split_seed,
        )
        return GalleryImportOrder(folder=self.folder, sources=sources, cache_dir=self.cache_dir)

    def reading(self) -> "OnnxReading":
        """Return how the network reads images, as far as it was said."""
        from pydantic import ValidationError

        from cmpc_search.errors import BadArgument
        from cmpc_search.gallery import OnnxReading
        from cmpc_search.json_records import first_complaint

        given = {name: getattr(self, name) for name in OnnxReading.model_fields}
        said = {name: value for name, value in given.items() if value is not None}
        try:
            return OnnxReading.model_validate(said)
        except ValidationError as error:
            raise BadArgument(f"the network can't be fed so: {first_complaint(error)}") from error


@click.command("import")
@click.argument("folder", metavar="GALLERY", type=FOLDER)
@click.option(
    "--network", "onnx_path", type=EXISTING_FILE, help="The network as ONNX: image -> embedding."
)
@click.option("--mean", type=ColourType(), help="Subtracted from colours in [0, 1].")
@click.option("--std", type=ColourType(), help="What they are divided by then.")
@click.option(
    "--scale", type=float, help="What they are multiplied by: 255 if the network reads bytes."
)
@click.option(
    "--bgr", "colour_order", flag_value="BGR", default=None, help="The network reads blue first."
)
@click.option(
    "--input-size-px",
    type=click.IntRange(min=1, max=16384),
    help="Size of the images, where the network leaves it open.",
)
@click.option(
    "--crop",
    "crop_share",
    type=click.FloatRange(min=0, min_open=True, max=1),
    is_flag=False,
    flag_value=1.0,
    help="Cut the middle out of each picture: a square of this part of its shorter side, such as "
    "0.875 (224 of 256); without a number, 1.  [default: all of it, on a white square]",
)
@click.option("--output", help="Name of the output that embeds, where there are several.")
@click.option(
    "--pool",
    type=click.Choice(["mean", "first"]),
    help="Make an embedding of a map or of tokens: their mean, or the first token.",
)
@click.option(
    "--embeddings",
    "embeddings_path",
    type=EXISTING_FILE,
    help="Ready embeddings: .parquet or .npz (columns embedding and id), safetensors with "
    "item_names, or .npy beside --ids.",
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
@compute_option
@cache_dir_option
@cache_size_option
@json_option
@filled(ImportOptions)
def import_(options: ImportOptions) -> None:
    """Make a gallery from a network of your own, or from its ready embeddings.

    The network reads square images, float32 or float16, [N, 3, S, S] or [N, S, S, 3], and gives one
    embedding each. What is said of its colours becomes a part of it; they are in [0, 1] otherwise.
    It embeds 20 images (made-up ones without --data) to see that it does so. Item names are those
    of `cmpc data show`. With --data the network embeds that set at once. Embeddings that are given
    too are kept, and compared with the network's on the 20 images; they may be those of the gallery
    items alone: the network embeds the queries.

    Embeddings without a network must be those of all items that a search learns from, queries too;
    each view of an image then aims at the embedding of the image itself.

    Everything is checked before anything is written: what was ended early can be given again.

    \b
    Examples:
      cmpc gallery import galleries/shop --network large.onnx --data shop.csv
      cmpc gallery import galleries/clip --network clip.onnx --output image_embeds --crop \\
          --mean 0.481,0.458,0.408 --std 0.269,0.261,0.276
      cmpc gallery import galleries/shop --embeddings shop.npy --ids shop.txt
    """
    from cmpc.cli.publishing import publish
    from cmpc.progress import TerminalObserver
    from cmpc.reports.galleries import gallery_report
    from cmpc_search.stages.gallery_making import run_gallery_import

    set_up_compute(options.compute_device, options.threads)
    found = run_gallery_import(options.order(), TerminalObserver())
    publish(gallery_report(found), as_json=options.as_json)
