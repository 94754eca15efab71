"""Which embeddings is retrieval timed on? Those of real images, and random directions.

    python benchmarks/retrieval_data.py --gallery galleries/emoji --data emoji9

writes the embeddings of real images to a file: augmented views (turned, shifted, scaled, coloured
anew) of every picture of the data set, each embedded by the gallery's network; 100,000 views take
some minutes. The benchmark then makes galleries of other shapes from them:

    up to the file's rows   a sample of the views, float32 [G, 128], unit length
    more rows               all views, then copies moved by the difference of two views of one other
                            picture: as far as the network's output truly moves between views
    512 dimensions          four different views of one picture side by side, as where an item is
                            embedded from several crops

Queries are views that are in no gallery. Random directions are normal rows scaled to length 1: they
have no neighbours worth the name, which is hardest for codes and bounds.
"""

import argparse
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmpc_base.cache import users_cache

__all__ = ["DEFAULT_PATH", "Gallery", "random_gallery", "real_gallery"]

CACHE = users_cache()
DEFAULT_PATH = CACHE.benchmarks / "views.npz"
NUM_QUERIES = 1000
VIEWS_A_QUERY = 4
REAL_DIMENSION = 128

Rows = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Gallery:
    """Unit rows float32 [G, D], queries float32 [1000, D], and a sentence on their origin."""

    name: str
    rows: Rows
    queries: Rows
    about: str


def random_gallery(num_items: int, dimension: int) -> Gallery:
    """Return rows and queries of random directions."""
    rng = np.random.default_rng(num_items + dimension)
    return Gallery(
        name="random",
        rows=unit(rng.standard_normal((num_items, dimension), dtype=np.float32)),
        queries=unit(rng.standard_normal((NUM_QUERIES, dimension), dtype=np.float32)),
        about="random directions",
    )


def real_gallery(num_items: int, dimension: int, path: Path) -> Gallery:
    """Return rows and queries from the file that this program writes."""
    if not path.exists():
        raise SystemExit(
            f"{path} must hold embeddings of real images; make it with\n"
            f"  python benchmarks/retrieval_data.py --gallery galleries/emoji --data emoji9"
        )
    with np.load(path, allow_pickle=False) as file:
        views, queries = file["views"], file["queries"]
        about = json.loads(str(file["about"]))
    num_views, num_pictures, _ = views.shape
    text = (
        f"{num_views} augmented views of each of {num_pictures} pictures of {about['data']}, "
        f"embedded by {about['network']}"
    )
    rng = np.random.default_rng(num_items)
    if dimension == VIEWS_A_QUERY * REAL_DIMENSION:
        rows = side_by_side(views, num_items, rng)
        queries = unit(queries.reshape(len(queries), -1))
        text += "; four views of one picture side by side"
    elif dimension != REAL_DIMENSION:
        raise SystemExit(f"real embeddings have 128 or 512 dimensions, not {dimension}")
    elif num_items <= num_views * num_pictures:
        rows = views.reshape(-1, dimension)
        rows = rows[np.sort(rng.choice(len(rows), num_items, replace=False))]
        queries = queries[:, 0]
    else:
        rows, queries = moved(views, num_items, rng), queries[:, 0]
        share = views[..., 0].size / num_items
        text += f"; {share:.0%} of the rows are these, the others are moved by a view's difference"
    return Gallery(name="real", rows=rows, queries=np.ascontiguousarray(queries), about=text)


def side_by_side(views: Rows, num_items: int, rng: np.random.Generator) -> Rows:
    """Return rows of four different views of one picture, float32 [G, 4 D]."""
    num_views, num_pictures, _ = views.shape
    picture = np.arange(num_items) % num_pictures
    chosen = rng.permuted(np.tile(np.arange(num_views), (num_items, 1)), axis=1)
    chosen = chosen[:, :VIEWS_A_QUERY]
    return unit(views[chosen, picture[:, np.newaxis]].reshape(num_items, -1))


def moved(views: Rows, num_items: int, rng: np.random.Generator) -> Rows:
    """Return all views, then views moved as some other picture's embedding moves between views."""
    num_views, num_pictures, dimension = views.shape
    rows = np.empty((num_items, dimension), np.float32)
    flat = views.reshape(-1, dimension)
    rows[: len(flat)] = flat
    for start in range(len(flat), num_items, len(flat)):
        part = rows[start : start + len(flat)]
        picture = rng.integers(0, num_pictures, len(part))
        first = rng.integers(0, num_views, len(part))
        second = (first + rng.integers(1, num_views, len(part))) % num_views
        part[:] = unit(flat[: len(part)] + views[first, picture] - views[second, picture])
    return rows


def unit(rows: Rows) -> Rows:
    """Return the rows scaled to length 1."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.maximum(length, 1e-30), np.float32)


def main() -> None:
    """Embed the views and write the file."""
    parser = argparse.ArgumentParser(description="Embed views of real images for retrieval.py.")
    parser.add_argument("--gallery", type=Path, required=True, help="a folder of `cmpc gallery`")
    parser.add_argument("--data", default="emoji9", help="the data set to embed [emoji9]")
    parser.add_argument("--cache-dir", type=Path, default=CACHE.path)
    parser.add_argument("--num-views", type=int, help="of each picture [100,000 rows in all]")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch [2]")
    parser.add_argument("--out", type=Path, default=DEFAULT_PATH)
    arguments = parser.parse_args()
    import torch

    from cmpc_base.files import replacing
    from cmpc_search.data import load_image_set
    from cmpc_search.gallery import open_gallery
    from cmpc_search.training.augmentation.drawing import Drawing
    from cmpc_search.training.views import ViewMaker, ViewRecipe

    torch.set_num_threads(arguments.threads)
    gallery = open_gallery(arguments.gallery)
    images = load_image_set(
        arguments.data, size_px=gallery.input_size_px, cache_dir=arguments.cache_dir, seed=0
    )
    recipe = ViewRecipe(augmentation=Drawing(supersampling=1), seed=0)
    maker = ViewMaker.of_all(images, recipe, gallery.input_size_px)
    numbers = itertools.count()  # every view is another one

    def embed_views(chosen: npt.NDArray[np.int64]) -> Rows:
        parts = []
        for shown in torch.split(torch.from_numpy(chosen), 512):
            drawn = torch.tensor([next(numbers) for _ in shown])
            parts.append(gallery.embed(maker.make(shown, drawn).numpy()))
        return np.concatenate(parts)

    everything = np.arange(len(images))
    num_views = arguments.num_views or -(-100_000 // len(images))
    views = []
    for n in range(num_views):
        views.append(embed_views(everything))
        print(f"view {n + 1} of {num_views}: {len(images)} pictures", flush=True)
    asked = np.random.default_rng(0).choice(len(images), NUM_QUERIES, replace=False)
    queries = embed_views(np.repeat(asked, VIEWS_A_QUERY)).reshape(NUM_QUERIES, VIEWS_A_QUERY, -1)
    about = {"data": arguments.data, "network": gallery.record.network.name}
    about |= {"network_sha256": gallery.network_sha256}
    with replacing(arguments.out) as file:
        np.savez(file, views=np.stack(views), queries=queries, about=json.dumps(about))
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
