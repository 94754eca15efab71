"""Small real networks for the tests; TVM is loaded once in this process and once in a worker."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from cmpc_cost_models.graphs.writing import GraphWriter
from cmpc_cost_models.models.measured import MeasuredModel
from cmpc_cost_models.records import CompiledNetwork
from cmpc_cost_models.sites.base import Site
from cmpc_cost_models.sites.emulated import EmulatedSite
from cmpc_cost_models.sites.here import HereSite
from cmpc_cost_models.targets.compilers import linker_for
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.targets.toolchain import find_toolchain
from cmpc_cost_models.timing.settings import MeasureSettings

sys.path.insert(0, str(Path(__file__).parent))  # for what several tests share

from meters import meter_here


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="session")
def host() -> Target:
    target = find_target("host")
    if linker_for(target) is None:
        pytest.skip("compiling needs a C++ compiler to link with")
    return target


@pytest.fixture(scope="session")
def write_tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Writes a convolution, a depthwise one and a dense layer: 16 px in, 12 numbers out."""
    folder = tmp_path_factory.mktemp("tiny")

    def write(seed: int) -> Path:
        rng = np.random.default_rng(seed)
        writer = GraphWriter("tiny", (1, 3, 16, 16))
        weight = rng.standard_normal((8, 3, 3, 3), dtype=np.float32)
        features = writer.relu(writer.conv(writer.input, weight, stride=2, padding=1))
        weight = rng.standard_normal((8, 1, 3, 3), dtype=np.float32)
        features = writer.conv(features, weight, padding=1, groups=8)
        pooled = writer.global_average_pool(features)
        weight = rng.standard_normal((12, 8), dtype=np.float32)
        path = folder / f"tiny-{seed}.onnx"
        writer.save(path, writer.l2_normalise(writer.dense(pooled, weight)))
        return path

    return write


@pytest.fixture(scope="session")
def tiny_network(write_tiny: Callable[[int], Path]) -> Path:
    return write_tiny(0)


@pytest.fixture(scope="session")
def meter(host: Target, cache_dir: Path) -> Iterator[MeasuredModel]:
    settings = MeasureSettings(
        num_blocks=6, span_seconds=0, block_ms=1.0, warmup_ms=5.0, max_attempts=1
    )
    with meter_here(host, cache_dir, settings) as meter:
        yield meter


@pytest.fixture(scope="session")
def runtime_dir() -> Path:
    """The user's own cache: tests fetch nothing, and use what `cmpc targets fetch arm` left."""
    return Path(os.environ.get("CMPC_CACHE", Path.home() / ".cache" / "cmpc"))


RunCompiled = Callable[[CompiledNetwork, npt.NDArray[np.float32]], npt.NDArray[np.float32]]


@pytest.fixture(scope="module")
def runner_of(runtime_dir: Path) -> Iterator[Callable[[Target], RunCompiled]]:
    """Tells how networks for a target are run: here if this machine can, else emulated."""
    with ExitStack() as sites:

        def runner(target: Target) -> RunCompiled:
            if target.why_not_here() is None:
                return partial(run_at, HereSite())
            toolchain = find_toolchain(target, cache_dir=runtime_dir)
            if not toolchain.emulator or toolchain.lacking:
                pytest.skip("; ".join(toolchain.lacking) or str(target.why_not_here()))
            return partial(run_at, sites.enter_context(EmulatedSite(toolchain)))

        yield runner


def run_at(
    site: Site, compiled: CompiledNetwork, image: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    return site.load(compiled.path, compiled.input_shape).run(image)
