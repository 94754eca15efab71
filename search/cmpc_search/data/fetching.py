"""Fetch pinned packages with the clients that people already trust: npm, and Debian's apt.

A client brings its own mirrors, proxies and credentials; we run it with a list of arguments in an
empty folder, and check what came against a hash in the code. Nothing from a package is executed,
and only the members asked for are read out of an archive.
"""

import logging
import os
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cmpc_base.cache import Cache
from cmpc_base.errors import MissingLibrary
from cmpc_base.folders import scratch_folder
from cmpc_base.hashing import file_hash
from cmpc_base.printable import last_lines
from cmpc_base.progress import OnNotice
from cmpc_search.errors import DownloadFailed

__all__ = ["Fetcher", "NpmPackage", "read_tar_member"]

_log = logging.getLogger(__name__)

FETCH_TIMEOUT_S = 600
MAX_MEMBER_BYTES = 512 * 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class NpmPackage:
    """One tarball of the npm registry, pinned by its contents."""

    name: str
    version: str
    sha512: str

    @property
    def file_name(self) -> str:
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Brings packages into a cache folder, and says so: it may take minutes.

    Attributes:
        on_notice: Told what is fetched, before it is.
    """

    cache_dir: Path
    on_notice: OnNotice = _log.warning

    @property
    def packages_folder(self) -> Path:
        return Cache(self.cache_dir).packages

    def npm_package(self, package: NpmPackage) -> Path:
        """Return the tarball of a package, from the cache if it is there and whole.

        Raises:
            DownloadFailed: it can't be fetched, or is not what was pinned.
            MissingLibrary: npm is not installed.
        """
        path = self.packages_folder / package.file_name
        if path.exists() and file_hash(path, "sha512") == package.sha512:
            return path
        wanted = f"{package.name}@{package.version}"
        command = ["npm", "pack", wanted, "--ignore-scripts", "--loglevel=error"]
        with scratch_folder(path) as folder:
            self._fetch(command, folder, needs="npm (it comes with Node.js)")
            fetched = folder / package.file_name
            if not fetched.exists():
                raise DownloadFailed(
                    f"npm pack must leave {package.file_name}, got {_listing(folder)}"
                )
            _check(fetched, "sha512", package.sha512)
            os.replace(fetched, path)
        return path

    def debian_files(self, package: str, members: Mapping[str, str], *, into: Path) -> None:
        """Put files of a Debian package into a folder, without root and without installing it.

        ``members`` are paths in the package with the sha256 of each.

        apt proves the package by the archive's signature; the pinned hashes prove the files,
        whatever release of Debian they come from.

        Raises:
            DownloadFailed: it can't be fetched, or is not what was pinned.
            MissingLibrary: apt or dpkg is not installed.
        """
        into.mkdir(parents=True, exist_ok=True)
        with scratch_folder(into) as folder:
            command = ["apt-get", "download", package]
            self._fetch(command, folder, needs="apt-get (Debian or Ubuntu)")
            archives = list(folder.glob("*.deb"))
            if len(archives) != 1:
                raise DownloadFailed(f"apt-get must leave one .deb, got {_listing(folder)}")
            unpack = ["dpkg-deb", "--extract", str(archives[0]), str(folder / "files")]
            _run(unpack, folder, needs="dpkg-deb (Debian or Ubuntu)")
            for member, sha256 in members.items():
                _check(folder / "files" / member, "sha256", sha256)
                os.replace(folder / "files" / member, into / Path(member).name)

    def _fetch(self, command: Sequence[str], folder: Path, *, needs: str) -> None:
        """Run a client that fetches."""
        self.on_notice(f"fetching: {' '.join(command)}")
        try:
            _run(command, folder, needs=needs)
        except DownloadFailed as error:
            raise DownloadFailed(
                f"{error}; see that the registry can be reached from here, and repeat the command"
            ) from error


def read_tar_member(archive: Path, member: str) -> bytes:
    """Return one regular file of a tar archive; nothing is written, so no path can escape."""
    try:
        with tarfile.open(archive) as tar:
            info = tar.getmember(member)
            file = tar.extractfile(info) if info.isfile() else None
            if file is None or info.size > MAX_MEMBER_BYTES:
                raise DownloadFailed(
                    f"{member} in {archive} must be a file of at most {MAX_MEMBER_BYTES} bytes, "
                    f"got {info.size} bytes of type {info.type!r}"
                )
            return file.read()
    except (OSError, EOFError, KeyError, tarfile.TarError, zlib.error) as error:
        raise DownloadFailed(f"{member} can't be read from {archive}: {error}") from error


def _run(command: Sequence[str], folder: Path, *, needs: str) -> None:
    program = shutil.which(command[0])
    if program is None:
        raise MissingLibrary(f"{command[0]} must be installed to fetch this data set: {needs}")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=FETCH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DownloadFailed(
            f"`{' '.join(command)}` must end within {FETCH_TIMEOUT_S} s and did not"
        ) from error
    if done.returncode != 0:
        talk = last_lines(done.stderr.strip() or done.stdout)
        raise DownloadFailed(
            f"`{' '.join(command)}` failed with exit code {done.returncode}: {talk}"
        )


def _check(path: Path, algorithm: str, expected: str) -> None:
    if not path.is_file():
        raise DownloadFailed(f"the package must hold {path.name}, and does not")
    if (found := file_hash(path, algorithm)) != expected:
        raise DownloadFailed(
            f"{path.name} must have {algorithm} {expected}, got {found}; "
            "what came is damaged or was changed, so it is not used"
        )


def _listing(folder: Path) -> str:
    return ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
