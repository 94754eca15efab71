"""The manifest of a sharded gallery: which files belong to it, and that they are those.

    {"format": "cmpc sharded gallery index", "version": 1,
     "dimension": 128, "rows_per_shard": 1000000, "next_id": 2500000,
     "settings": {...as in settings.py},
     "shards": [{"file": "shard-4f2a90c1.index", "header_sha256": "..."}, ...]}

A shard's header holds the checksums of its arrays, so the manifest vouches for all of it.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cmpc_base.json_files import read_json, write_json
from cmpc_kernels.errors import BadArgument, BadIndexFile
from cmpc_kernels.gallery.settings import IndexSettings

__all__ = ["MANIFEST_NAME", "Manifest", "ShardFile"]

MANIFEST_NAME = "manifest.json"
FORMAT, VERSION = "cmpc sharded gallery index", 1


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardFile:
    """A file of the folder, and the SHA-256 of its header."""

    file: str
    header_sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """All that is known of a gallery beside its shards; ``next_id`` is the next item's."""

    settings: IndexSettings
    dimension: int
    rows_per_shard: int
    next_id: int
    shards: tuple[ShardFile, ...]

    def write(self, folder: Path) -> None:
        """Replace the manifest of a folder, whole or not at all."""
        content = {"format": FORMAT, "version": VERSION, **asdict(self)}
        write_json(folder / MANIFEST_NAME, content)

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read the manifest of a folder.

        Raises:
            BadIndexFile: there is none, or it is not what ``write`` wrote.
        """
        path = folder / MANIFEST_NAME
        advice = "give a folder made by ShardedIndex.build"
        content = read_json(path, error=BadIndexFile, advice=advice)
        try:
            format_and_version = content.pop("format"), content.pop("version")
            if format_and_version != (FORMAT, VERSION):
                raise ValueError(f"its format and version are {format_and_version}")
            return cls.parse(content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadIndexFile(
                f"{path} must be a manifest of version {VERSION} as it was written, and is not "
                f"({error!r}); build the gallery again"
            ) from error

    @classmethod
    def parse(cls, content: dict[str, Any]) -> "Manifest":
        """Return the manifest in a JSON object; anything amiss is an error that ``read`` tells."""
        try:
            settings = IndexSettings(**content.pop("settings"))
        except BadArgument as error:
            raise ValueError(str(error)) from error
        shards = tuple(ShardFile(**entry) for entry in content.pop("shards"))
        manifest = cls(settings=settings, shards=shards, **content)
        numbers = (manifest.dimension, manifest.rows_per_shard, manifest.next_id)
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError("dimension, rows_per_shard and next_id must be whole numbers")
        if any(Path(shard.file).name != shard.file for shard in shards) or not shards:
            raise ValueError("its shards must be files of the folder")
        return manifest
