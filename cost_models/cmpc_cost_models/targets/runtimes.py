"""TVM's runtime for another processor: fetched when the user says so, and checked at every use.

    <cache>/runtimes/aarch64-0.27.0.post1/libtvm_runtime.so  libtvm_ffi.so  runtime.json

The libraries come out of the packages that the same release has for that processor. Their hashes
are part of cmpc (``targets.toml``), so pip refuses any other file; those of the libraries are
written down as they are unpacked.
"""

import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmpc_base.cache import Cache
from cmpc_base.folders import folder_draft
from cmpc_base.hashing import file_hash
from cmpc_base.json_files import read_json, write_json
from cmpc_base.printable import last_lines
from cmpc_cost_models.errors import BadArgument, PackageNotFetched
from cmpc_cost_models.targets.built_in import built_in_tables
from cmpc_cost_models.targets.machine import describe_versions
from cmpc_cost_models.targets.target import Target

__all__ = [
    "fetch_runtime",
    "find_runtime",
    "runtime_advice",
    "wheels_for",
]

MEMBERS = {
    "apache-tvm": "tvm/lib/libtvm_runtime.so",
    "apache-tvm-ffi": "tvm_ffi/lib/libtvm_ffi.so",
}
PYTHON_OF_WHEELS = "3.11"  # any that has a wheel: the libraries don't know Python
RECORD_NAME = "runtime.json"
FETCH_LIMIT_SECONDS = 600


def wheels_for(target: Target) -> Mapping[str, Any] | None:
    """Return the packages with the target's runtime, as in ``targets.toml``, if there are any."""
    wheels: Mapping[str, Any] | None = built_in_tables()["runtimes"].get(target.architecture)
    return wheels


def runtime_advice(target: Target) -> str:
    """Say how to get the runtime for ``target``."""
    if wheels_for(target) is None:
        return f"cmpc knows no published TVM runtime for {target.architecture}, to run it here"
    return (
        f"no TVM runtime for {target.architecture} in the cache "
        f"(cmpc targets fetch {target.name} gets it)"
    )


def find_runtime(target: Target, *, cache_dir: Path) -> Path | None:
    """Return the folder with the target's runtime, if it was fetched and is unaltered."""
    wheels = wheels_for(target)
    if wheels is None:
        return None
    folder = _folder(target, wheels, cache_dir)
    try:
        record = read_json(folder / RECORD_NAME)
        if any(file_hash(folder / name) != known for name, known in record["files"].items()):
            return None
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return folder


def fetch_runtime(target: Target, *, cache_dir: Path) -> Path:
    """Return the folder with the target's runtime, fetching it with pip if need be.

    Raises:
        BadArgument: there is no runtime for this target, or for the installed TVM.
        PackageNotFetched: pip failed, or the file is not the one that cmpc knows.
    """
    if (found := find_runtime(target, cache_dir=cache_dir)) is not None:
        return found
    wheels = wheels_for(target)
    if wheels is None:
        raise BadArgument(runtime_advice(target))
    _require_installed_versions(wheels)
    folder = _folder(target, wheels, cache_dir)
    with folder_draft(folder, replace=True) as draft:  # found altered above, or not there
        _download(wheels, draft)
        _unpack(wheels, draft)
    return folder


def _folder(target: Target, wheels: Mapping[str, Any], cache_dir: Path) -> Path:
    version = wheels["apache-tvm"]["version"]
    return Cache(cache_dir).runtimes / f"{target.architecture}-{version}"


def _require_installed_versions(wheels: Mapping[str, Any]) -> None:
    """Refuse a runtime of another release than the compiler's: their formats differ."""
    installed = describe_versions()
    for package in MEMBERS:
        wanted, here = wheels[package]["version"], installed.get(package)
        if wanted != here:
            raise BadArgument(
                f"{package} must be {wanted}, the release whose runtime for other processors "
                f"cmpc knows, got {here}"
            )


def _download(wheels: Mapping[str, Any], folder: Path) -> None:
    pins = [
        f"{name}=={wheels[name]['version']} --hash=sha256:{wheels[name]['sha256']}"
        for name in MEMBERS
    ]
    requirements = folder / "requirements.txt"
    requirements.write_text("\n".join(pins) + "\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--python-version", PYTHON_OF_WHEELS]
    for platform in wheels["platforms"]:
        command += ["--platform", platform]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=FETCH_LIMIT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise PackageNotFetched(f"pip must fetch within {FETCH_LIMIT_SECONDS} s") from error
    if done.returncode:
        raise PackageNotFetched(f"pip must fetch {', '.join(MEMBERS)}: {last_lines(done.stderr)}")


def _unpack(wheels: Mapping[str, Any], folder: Path) -> None:
    """Take the two libraries out of the packages, write their hashes down, drop the rest."""
    hashes = {}
    for package, member in MEMBERS.items():
        [wheel] = folder.glob(f"{package.replace('-', '_')}-[0-9]*.whl")
        library = folder / Path(member).name
        with zipfile.ZipFile(wheel) as archive:
            library.write_bytes(archive.read(member))
        hashes[library.name] = file_hash(library)
        wheel.unlink()
    (folder / "requirements.txt").unlink()
    versions = {package: wheels[package]["version"] for package in MEMBERS}
    record = {"schema_version": 1, "packages": versions, "files": hashes}
    write_json(folder / RECORD_NAME, record)
