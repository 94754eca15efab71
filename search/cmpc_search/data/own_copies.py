"""Where is the user's own copy of a published data set that each must get for themselves?

<cache>/packages/NAME.path     the folder, as `cmpc data prepare NAME --from FOLDER` was told
"""

from pathlib import Path

from cmpc_base.cache import Cache
from cmpc_base.files import write_text
from cmpc_search.errors import BadArgument

__all__ = ["copy_of", "keep_copy", "kept_copy"]


def keep_copy(name: str, folder: Path, cache_dir: Path) -> None:
    """Remember where the copy of a data set is; the path is made absolute."""
    write_text(_file(name, cache_dir), f"{folder.absolute()}\n")


def kept_copy(name: str, cache_dir: Path) -> Path | None:
    """Return where the copy of a data set was said to be; None if nobody has said so."""
    file = _file(name, cache_dir)
    return Path(file.read_text(encoding="utf-8").removesuffix("\n")) if file.is_file() else None


def copy_of(name: str, cache_dir: Path) -> Path:
    """Return where the copy of a data set is.

    Raises:
        BadArgument: nobody has said so, or it is there no more.
    """
    advice = f"say where it is: cmpc data prepare {name} --from FOLDER"
    folder = kept_copy(name, cache_dir)
    if folder is None:
        raise BadArgument(f"{name} is read from a copy of your own; {advice}")
    if not folder.is_dir():
        raise BadArgument(f"the copy of {name} must be in {folder}, which is no folder; {advice}")
    return folder


def _file(name: str, cache_dir: Path) -> Path:
    return Cache(cache_dir).packages / f"{name}.path"
