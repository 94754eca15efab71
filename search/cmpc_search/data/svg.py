"""Draw an SVG at the size it is wanted, on white.

resvg is self-contained and draws the same everywhere; system fonts are skipped because they are
not the same everywhere. The library is in the ``data`` extra, so it loads on use.
"""

from cmpc_search.errors import BadData, MissingLibrary

__all__ = ["is_svg", "svg_to_png"]


def is_svg(content: bytes) -> bool:
    """Whether a file's first bytes say SVG: an svg tag near the start of text."""
    start = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"<") and b"<svg" in content[:4096]


def svg_to_png(content: bytes, size_px: int) -> bytes:
    """Return the bytes of a PNG whose longer side is ``size_px``."""
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise MissingLibrary("SVGs need the package resvg-py: pip install 'cmpc[data]'") from error
    try:
        png: bytes = svg_to_bytes(
            svg_string=content.decode("utf-8"),
            width=size_px,
            height=size_px,
            background="white",
            skip_system_fonts=True,
        )
    except ValueError as error:  # UnicodeDecodeError is one too
        raise BadData(f"the SVG can't be drawn: {error}") from error
    return png
