"""The options that several commands share, so that they look and mean the same everywhere.

Each is a decorator for a command. Nothing here imports more than Click: names such as a target's
are checked in the command's body, where the package that knows them is loaded.
"""

import os
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from cmpc_base.cache import users_cache
from cmpc_base.folders import nearest_existing

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from pydantic import BaseModel

__all__ = [
    "EXISTING_FILE",
    "EXISTING_FOLDER",
    "EXISTING_PATH",
    "FILE",
    "FOLDER",
    "bundle_option",
    "cache_dir_option",
    "compute_option",
    "config_option",
    "data_option",
    "device_option",
    "filled",
    "flags_given",
    "ids_option",
    "json_option",
    "moved_data_option",
    "moved_gallery_option",
    "network_of_option",
    "resolve_settings",
    "run_folder_argument",
    "seed_option",
    "set_up_compute",
    "split_seed_option",
    "threads_option",
]

Options = TypeVar("Options", bound="DataclassInstance")
Settings = TypeVar("Settings", bound="BaseModel")
GREATEST_SEED = 2**32 - 1
MOST_THREADS = 1024
EXISTING_PATH = click.Path(exists=True, path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document instead of a table."
)
cache_dir_option = click.option(
    "--cache-dir",
    type=FOLDER,
    envvar="CMPC_CACHE",
    show_envvar=True,
    default=lambda: default_cache_dir(),
    show_default="~/.cache/cmpc",
    help="Where data, embeddings and compiled networks are kept.",
)
seed_option = click.option(
    "--seed",
    type=click.IntRange(min=0, max=GREATEST_SEED),
    default=0,
    show_default=True,
    help="Seed of everything that is drawn at random.",
)
split_seed_option = click.option(
    "--split-seed",
    type=click.IntRange(min=0, max=GREATEST_SEED),
    default=0,
    show_default=True,
    help="Seed of what the data leave open: which classes validate (test classes are fixed), which "
    "images ask.",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1, max=MOST_THREADS),
    help="Processors to keep busy; by default every one. Give 1 on a machine that is busy.",
)
compute_option = click.option(
    "--compute",
    "compute_device",
    metavar="DEVICE",
    help="Where torch computes: cpu, cuda or cuda:1.  [default: cuda if there is one]",
)
config_option = click.option(
    "--config",
    "toml_path",
    type=EXISTING_FILE,
    help="Settings file; without it ./cmpc.toml is read if there is one.",
)
data_option = click.option(
    "--data",
    "data_set",
    metavar="NAME|PATH",
    help="A data set: a name from `cmpc data list`, a folder or a CSV file.",
)
device_option = click.option(
    "--device",
    metavar="NAME",
    help="Where networks are timed: local, rpc://HOST:PORT (a server of TVM's), "
    "rpc://HOST:PORT/KEY (a tracker) or none, which predicts.  "
    "[default: local if it can run the target, else none]",
)
bundle_option = click.option(
    "--bundle", type=EXISTING_FOLDER, required=True, help="A folder made by `cmpc build`."
)
ids_option = click.option(
    "--ids",
    "ids_path",
    type=EXISTING_FILE,
    help="Names of the items, one a line, for a file without names such as a .npy.",
)
network_of_option = click.option(
    "--gallery",
    "gallery_path",
    type=EXISTING_FOLDER,
    help="The gallery whose network made the embeddings, where their file does not say; "
    "`cmpc query` must know it.",
)
moved_gallery_option = click.option(
    "--gallery",
    "gallery_path",
    type=FOLDER,
    help="The gallery of the run, if it is no longer where the search read it.",
)
moved_data_option = click.option(
    "--data",
    "data_set",
    metavar="NAME|PATH",
    help="The data of the run, if they are no longer where the search read them.",
)
run_folder_argument = click.argument("run_folder", metavar="RUN", type=FOLDER)


def set_up_compute(device: str | None, threads: int | None, toml_path: Path | None = None) -> None:
    """Set up torch as the table [compute] says, with typed flags above it.

    Of several processes that `torchrun` started, the first comes back; the others train along and
    end.
    """
    from cmpc.settings.file import COMPUTE_TABLE
    from cmpc.settings.resolution import Places, resolve
    from cmpc_search.training.compute import set_up_torch
    from cmpc_search.training.launch import launched
    from cmpc_search.training.settings import ComputeSettings

    typed = {"device": device, "threads": threads}
    places = Places(
        toml_path=toml_path,
        environment=os.environ,
        flags={name: value for name, value in typed.items() if value is not None},
        spellings={"device": "--compute"},
    )
    settings = resolve(ComputeSettings, COMPUTE_TABLE, places)
    set_up_torch(settings.threads, device=settings.device, processes=settings.processes)
    launch = launched()
    if launch is not None and launch.rank > 0:
        from cmpc_search.stages.helping import prepare

        launch.follow(prepare)
        click.get_current_context().exit()


def default_cache_dir() -> Path:
    """Return the cache in the user's home folder.

    Raises:
        click.UsageError: the user has no home folder, as any user id in a container, or may not
            write there.
    """
    try:
        cache_dir = users_cache().path
    except RuntimeError:
        reason = f"user {os.getuid()} has no home folder"
    else:
        nearest = nearest_existing(cache_dir)
        if nearest == cache_dir or os.access(nearest, os.W_OK):
            return cache_dir
        reason = f"{nearest} may not be written"
    raise click.UsageError(
        f"the cache must have a folder, and {reason}: set CMPC_CACHE or give --cache-dir"
    )


def flags_given(ctx: click.Context) -> dict[str, object]:
    """Return the options that were typed, without those that merely have a default.

    Only these override a settings file: a default that the user never typed must not.
    """
    typed = click.core.ParameterSource.COMMANDLINE
    return {
        name: value for name, value in ctx.params.items() if ctx.get_parameter_source(name) is typed
    }


def filled(record: type[Options]) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Let a command take its options as one frozen record.

    A field of the record is the parameter of its name. Options that are settings (see
    `resolve_settings`) may be missing in the record, no others: a test compares the two.
    """
    names = [field.name for field in fields(record)]

    def decorate(command: Callable[[Options], None]) -> Callable[..., None]:
        @wraps(command)
        def run(**given: object) -> None:
            command(record(**{name: given[name] for name in names}))

        return run

    return decorate


def resolve_settings(model_class: type[Settings], table: str, toml_path: Path | None) -> Settings:
    """Return the settings of a command's table: from the file, the environment, typed flags."""
    from cmpc.settings.resolution import Places, resolve

    ctx = click.get_current_context()
    places = Places(
        toml_path=toml_path,
        environment=os.environ,
        flags=flags_given(ctx),
        spellings={str(param.name): param.opts[0] for param in ctx.command.params},
    )
    return resolve(model_class, table, places)
