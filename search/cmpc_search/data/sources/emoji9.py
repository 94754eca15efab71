"""Emoji in up to nine styles, out of npm tarballs of SVGs: the benchmark, like consumer to shop.

A class is an emoji that each of the first four styles draws itself; the other five join where they
have it, under its name or an alias. Noto asks, the rest answer, so a query has up to eight
partners that differ in line, colour and shading. Skin-tone variants are left out. Classes are keyed
by their code points, as in the data set ``emoji``: a test class here is a test class there.

Pinned by sha512, so the set is the same for everybody who quotes a number on it.
"""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from cmpc_search.data.fetching import Fetcher, NpmPackage, read_tar_member
from cmpc_search.data.images import load_image
from cmpc_search.data.sources.base import Picture, Source
from cmpc_search.data.svg_styles import load_styled
from cmpc_search.errors import DownloadFailed

__all__ = ["PACKAGES", "Emoji9Source"]

PACKAGES = (
    NpmPackage(
        name="@iconify-json/noto",
        version="1.2.9",
        sha512="0d08ae5c435bba7e35721f973d2579e47f456962a91d3cb3e3a6082ad49a2980"
        "f87c80c3ccbd6d47a1f89e9fd3dfc8dfad301e237adc285d26a8761e65502e6b",
    ),
    NpmPackage(
        name="@iconify-json/twemoji",
        version="1.2.5",
        sha512="b8aa6e204574bfa2b9056dcc8ddca5f972855406db70fc408227cabc432d6685"
        "19079f98898e7368c9b6b8d342c725f301653dc8d2e58f8d5653afe6be000bb3",
    ),
    NpmPackage(
        name="@iconify-json/openmoji",
        version="1.2.29",
        sha512="bd776192a7175523bab2ecbe9bd2db71433739d572b8d3ada55f3f6a5b3f5aa7"
        "e44084717af2f919e6ff83ee861ff4309ead4eaa4b0499a0c64c2999e6714a25",
    ),
    NpmPackage(
        name="@iconify-json/fluent-emoji-flat",
        version="1.2.6",
        sha512="458e3b4603dbe3b7d8522cab03ae2c20e2f4f94534dacdbdb17a4d05b2104415"
        "253e57cd1532949990c4446bb10ecffbc8d196a9062fb9a4983353387d15e553",
    ),
    NpmPackage(
        name="@iconify-json/fluent-emoji",
        version="1.2.7",
        sha512="0fc1ba6ca03222ccb13f5af366d216aff820fdf3b8460d7e0f209695fa8a2b88"
        "7c5bee049bf6343fa4188095104e551c6a0cc9bd2ca0fbd381bf8873e0773f40",
    ),
    NpmPackage(
        name="@iconify-json/emojione",
        version="1.2.3",
        sha512="4fdf93dc721b24d2ca2ac9b160a95a621be71d8933fc73584d5ed21c25d564f7"
        "de522e05aac918ef461e37cc980194fc702bfbc39bc9c52e10d66f336fd08c32",
    ),
    NpmPackage(
        name="@iconify-json/noto-v1",
        version="1.2.5",
        sha512="fc3b15322bacebd4347d14b9df3ed02b54d1392b9aafad3a8e2231fa5697b5db"
        "1818c5e97fa2ed1c1c7a0867e8a375071dbfd7a41b30fb52f5c777b23ea32e54",
    ),
    NpmPackage(
        name="@iconify-json/emojione-v1",
        version="1.2.3",
        sha512="52323655011756d1a53c1bd0bb1122ceba3b4028017090ce630294ba9aaebef6"
        "7c515e313a5be6e39214f3625859e8220162dead8efd8052cc676e94e8cb3ec3",
    ),
    NpmPackage(
        name="@iconify-json/fxemoji",
        version="1.2.2",
        sha512="5006ac45ac7315429f2064a62f09e86abb2cb00e0b5f454b2ee126a6522a33a6"
        "4d42a21046d6aff2d6781f59de4e506b797b8c4320227ebe633f8927efc0e989",
    ),
)
NUM_CORE_STYLES = 4
QUERY_STYLE = "noto"
MAX_ALIAS_STEPS = 8
OTHER_STYLES = ("outlines", "turned hues", "another palette", "greys")
"""Of ``svg_styles``: most of these pictures have no strokes, which the others change."""


class Emoji9Source(Source):
    """The icon sets of PACKAGES, fetched by npm on first use."""

    name = "emoji9"
    has_styles = True
    licences = (
        "noto, noto-v1: Apache-2.0 (Google)",
        "twemoji: CC BY 4.0 (Twitter)",
        "openmoji: CC BY-SA 4.0 (OpenMoji)",
        "fluent-emoji, fluent-emoji-flat: MIT (Microsoft)",
        "emojione: CC BY 4.0 (EmojiOne)",
        "emojione-v1: CC BY-SA 4.0 (EmojiOne)",
        "fxemoji: Apache-2.0 (Mozilla)",
    )

    def __init__(self, fetcher: Fetcher) -> None:
        self.fetcher = fetcher

    def version(self) -> str:
        return " ".join(package.sha512 for package in PACKAGES)

    def pictures(self) -> Sequence[Picture]:
        icon_sets = {_style(package): self._icon_set(package) for package in PACKAGES}
        core = [_own_icons(icon_sets[_style(package)]) for package in PACKAGES[:NUM_CORE_STYLES]]
        names = sorted(name for name in set.intersection(*core) if "skin-tone" not in name)
        codes = self._code_points(PACKAGES[0])
        return [
            Picture(
                item_name=f"{style}/{name}",
                class_name=name.replace("-", " "),
                class_key=codes[name],
                read=partial(load_image, svg),
                role="query" if style == QUERY_STYLE else "gallery",
                styles=tuple(partial(load_styled, svg, one) for one in OTHER_STYLES),
            )
            for name in names
            for style, icon_set in icon_sets.items()
            if (svg := _svg(icon_set, name)) is not None
        ]

    def _icon_set(self, package: NpmPackage) -> dict[str, Any]:
        return self._document(package, "icons.json")

    def _code_points(self, package: NpmPackage) -> dict[str, str]:
        """Return each icon's code points, written as the data set ``emoji`` writes them."""
        chars = self._document(package, "chars.json")
        return {name: code.upper().replace("-FE0F", "") for code, name in chars.items()}

    def _document(self, package: NpmPackage, name: str) -> dict[str, Any]:
        archive = self.fetcher.npm_package(package)
        try:
            document: dict[str, Any] = json.loads(read_tar_member(archive, f"package/{name}"))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise DownloadFailed(f"{name} of {archive} is no JSON: {error}") from error
        return document


def _style(package: NpmPackage) -> str:
    return package.name.rpartition("/")[2]


def _own_icons(icon_set: dict[str, Any]) -> set[str]:
    """Names that a style draws and still lists; a hidden icon only serves those who know of it."""
    return {name for name, icon in icon_set["icons"].items() if not icon.get("hidden")}


def _svg(icon_set: dict[str, Any], name: str) -> bytes | None:
    """Return an icon as a whole SVG file; None if the style has none of this name."""
    for _ in range(MAX_ALIAS_STEPS):
        if name in icon_set["icons"]:
            break
        alias = icon_set.get("aliases", {}).get(name, {})
        if alias.keys() != {"parent"}:  # mirrored ones are another picture than their parent
            return None
        name = alias["parent"]
    icon = icon_set["icons"].get(name)
    if icon is None:
        return None
    left, top = icon.get("left", 0), icon.get("top", 0)
    width, height = (icon.get(side, icon_set.get(side, 16)) for side in ("width", "height"))
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{left} {top} {width} {height}">{icon["body"]}</svg>'
    )
    return svg.encode()
