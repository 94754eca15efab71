"""What a run keeps to know its data, gallery, space and target again, and how they are found."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cmpc_base.progress import OnNotice
from cmpc_cost_models import Target
from cmpc_cost_models.targets.table import find_target, target_names
from cmpc_search.data import CATALOGUE
from cmpc_search.errors import BadRun
from cmpc_search.json_records import first_complaint
from cmpc_search.runs import RunFolder
from cmpc_search.stages.material import (
    CROP_SHARE_KEY,
    GALLERY_VIEWS_KEY,
    SearchMaterial,
    load_material,
)
from cmpc_search.stages.settings import SearchSettings

__all__ = [
    "load_run_material",
    "place_facts",
    "search_settings_of",
    "space_facts",
    "target_facts",
    "target_of",
]

TARGET_KEY = "target"
UNTOLD: Mapping[str, Any] = {CROP_SHARE_KEY: None, GALLERY_VIEWS_KEY: 1}
"""What a run has that was begun with what older versions knew alone."""
GALLERY_PATH_KEY = "gallery_path"
SPACE_KEY = "space_sha256"


def load_run_material(
    run: RunFolder,
    gallery_path: Path | None = None,
    *,
    cache_dir: Path,
    data: str | None = None,
    on_notice: OnNotice | None = None,
) -> SearchMaterial:
    """Load what the search of ``run`` read, known again by its hashes.

    ``gallery_path`` and ``data`` say where gallery and data are now; else they are looked for where
    the search read them.

    Raises:
        BadRun: the data or the gallery are no longer those of the search, or no longer there, or
            the space of that name is another today.
    """
    settings = search_settings_of(run)
    if data is not None:
        settings = SearchSettings.model_validate(settings.model_dump() | {"data": data})
    elif settings.data not in CATALOGUE and not Path(settings.data).exists():
        raise BadRun(
            f"the data of {run.path} must be at {settings.data}, where the search read them; "
            "say with --data where they are now"
        )
    _check_space(run, settings)
    material = load_material(
        settings, gallery_path or _gallery_of(run), cache_dir=cache_dir, on_notice=on_notice
    )
    before = {**UNTOLD, **run.inputs}
    for name, now in {**UNTOLD, **material.hashes()}.items():
        if before.get(name) != now:
            raise BadRun(
                f"{run.path} must be used with the {name} that it was searched with "
                f"({before.get(name)}), got {now}"
            )
    return material


def space_facts(settings: SearchSettings) -> dict[str, str]:
    """Return what tells a run's space from another that had its name."""
    return {SPACE_KEY: settings.search_space().sha256}


def _check_space(run: RunFolder, settings: SearchSettings) -> None:
    """Refuse a run whose architectures would be other networks today."""
    if run.inputs.get(SPACE_KEY) != space_facts(settings)[SPACE_KEY]:
        raise BadRun(
            f"{run.path} must have been searched in the space {settings.space!r} as it is today, "
            "and was in another of that name; search anew in another folder, or use the cmpc that "
            "searched it"
        )


def _gallery_of(run: RunFolder) -> Path:
    stored = run.inputs.get(GALLERY_PATH_KEY)
    if not isinstance(stored, str):
        raise BadRun(f"{run.path} doesn't tell where its gallery is; name it with --gallery")
    if not Path(stored).is_dir():
        raise BadRun(
            f"the gallery of {run.path} must be at {stored}, where the search read it; "
            "say with --gallery where it is now"
        )
    return Path(stored)


def search_settings_of(run: RunFolder) -> SearchSettings:
    """Return the settings of the search that ``run`` was begun with.

    Raises:
        BadRun: another version of cmpc wrote them.
    """
    try:
        return SearchSettings.model_validate(run.settings)
    except ValidationError as error:
        raise BadRun(
            f"{run.settings_path} must hold the settings of this version of cmpc; "
            f"{first_complaint(error)}"
        ) from error


def place_facts(gallery_path: Path) -> dict[str, str]:
    """Return what a run keeps to find its gallery again; what it is, its hash says."""
    return {GALLERY_PATH_KEY: os.path.abspath(gallery_path)}


def target_facts(target: Target) -> dict[str, Any]:
    """Return what a run must keep to know its target again: that of a user's own file, in full.

    A target of cmpc's own is kept by its name, in the settings.
    """
    return {} if target.name in target_names() else {TARGET_KEY: target.to_json()}


def target_of(run: RunFolder) -> Target:
    """Return the target that ``run`` was searched for.

    Raises:
        BadRun: the run's own target can't be read.
    """
    kept = run.inputs.get(TARGET_KEY)
    if kept is None:
        return find_target(search_settings_of(run).target)
    try:
        return Target.from_json(kept)
    except (TypeError, ValueError) as error:
        raise BadRun(
            f"{run.settings_path} must tell its target as cmpc wrote it: {error}"
        ) from error
