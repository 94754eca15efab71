"""The manifest of a sharded gallery: which files belong to it, and that they are those.

    folder/manifest-41.json     what the gallery was until the last change
    folder/manifest-42.json     what it is:

    {"format": "cmpc sharded gallery index", "version": 2, "generation": 42,
     "dimension": 128, "rows_per_shard": 1000000, "next_id": 2500000,
     "settings": {...as in settings.py}, "commits": ["93f04c8a1e6b2d57", ...],
     "shards": [{"file": "shard-4f2a90c17d03b2ee.index", "header_sha256": "..."}, ...]}

Every change makes the next generation, and only one writer can: the name of its manifest is taken
only if nobody has it. The highest one counts. Version 1 was a ``manifest.json`` that was written
over; it counts as generation 0. A shard's header holds the checksums of its arrays, so the manifest
vouches for all of it.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cmpc_base.files import creating
from cmpc_base.json_files import read_json
from cmpc_kernels.errors import BadArgument, BadIndexFile
from cmpc_kernels.gallery.settings import IndexSettings

__all__ = ["Manifest", "ShardFile", "generation_of", "manifest_name", "newest_generation"]

FORMAT, VERSION = "cmpc sharded gallery index", 2
MANIFEST = re.compile(r"manifest(?:-([1-9]\d{0,17}))?\.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardFile:
    """A file of the folder, and the SHA-256 of its header."""

    file: str
    header_sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """All that is known of a gallery beside its shards.

    Attributes:
        next_id: The next item's.
        generation: How many changes there were, the first build among them.
        commits: Random names of the latest changes, the last one first. A writer finds its own
            there if its change is among those that the gallery is made of.
    """

    settings: IndexSettings
    dimension: int
    rows_per_shard: int
    next_id: int
    shards: tuple[ShardFile, ...]
    generation: int = 0
    commits: tuple[str, ...] = ()

    @property
    def file_names(self) -> set[str]:
        """The names of its shards."""
        return {shard.file for shard in self.shards}

    def create(self, folder: Path) -> None:
        """Write the manifest of its generation, whole.

        Raises:
            FileExistsError: somebody else did.
        """
        content = {"format": FORMAT, "version": VERSION, **asdict(self)}
        content["settings"] = self.settings.to_json()
        with creating(folder / manifest_name(self.generation)) as file:
            file.write(json.dumps(content, indent=2, allow_nan=False).encode())

    @classmethod
    def read(cls, folder: Path, generation: int | None) -> "Manifest":
        """Read a manifest of a folder.

        Raises:
            BadIndexFile: it is not there, or not what ``create`` or an earlier version wrote.
        """
        advice = "give a folder made by ShardedIndex.build"
        if generation is None:
            raise BadIndexFile(f"{folder} must hold the manifest of a gallery; {advice}")
        path = folder / manifest_name(generation)
        content = read_json(path, error=BadIndexFile, advice=advice)
        try:
            return cls.parse(content, generation)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadIndexFile(
                f"{path} must be a manifest of version {version_of(generation)} as it was written, "
                f"and is not ({error!r}); build the gallery again"
            ) from error

    @classmethod
    def parse(cls, content: dict[str, Any], generation: int) -> "Manifest":
        """Return the manifest in a JSON object; anything amiss is an error that ``read`` tells."""
        told = content.pop("format"), content.pop("version"), content.setdefault("generation", 0)
        if told != (FORMAT, version_of(generation), generation):
            raise ValueError(f"its format, version and generation are {told}")
        try:
            settings = IndexSettings(**content.pop("settings"))
        except BadArgument as error:
            raise ValueError(str(error)) from error
        shards = tuple(ShardFile(**entry) for entry in content.pop("shards"))
        commits = tuple(content.pop("commits", ()))
        manifest = cls(settings=settings, shards=shards, commits=commits, **content)
        numbers = (manifest.dimension, manifest.rows_per_shard, manifest.next_id)
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError("dimension, rows_per_shard and next_id must be whole numbers")
        if any(Path(shard.file).name != shard.file for shard in shards) or not shards:
            raise ValueError("its shards must be files of the folder")
        return manifest


def version_of(generation: int) -> int:
    return VERSION if generation else 1


def manifest_name(generation: int) -> str:
    return f"manifest-{generation}.json" if generation else "manifest.json"


def generation_of(name: str) -> int | None:
    """Return the generation whose manifest has this name; None for any other file."""
    match = MANIFEST.fullmatch(name)
    return None if match is None else int(match[1] or 0)


def newest_generation(folder: Path) -> int | None:
    """Return the generation of the gallery in a folder; None where there is no gallery."""
    found = [generation_of(path.name) for path in folder.glob("manifest*.json")]
    return max((number for number in found if number is not None), default=None)
