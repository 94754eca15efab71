"""Whole programs on a system that is not Linux, made up: what only Linux has is taken away.

``sitecustomize`` is what Python itself imports first, in a program and in all that it starts.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from cmpc_cost_models.graphs.writing import GraphWriter

SITE = """
import os, sys

for name in ("sched_getaffinity", "sched_setaffinity", "process_cpu_count"):
    if hasattr(os, name):
        delattr(os, name)
sys.modules.update(dict.fromkeys({without!r}))  # to import one of them is an ImportError

def hide(event, arguments):
    if event == "open" and str(arguments[0]).startswith(("/proc/", "/sys/")):
        if arguments[0] not in {kept!r}:
            raise FileNotFoundError(2, "No such file or directory", arguments[0])

sys.addaudithook(hide)
"""


@pytest.fixture
def run_elsewhere(tmp_path):
    """Runs a program without affinity, /proc, /sys and some modules; returns its document."""

    def run(*words, without=(), kept=(), **environment):
        folder = tmp_path / "site"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(SITE.format(without=without, kept=kept))
        paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_the_doctor_says_what_is_lacking_there(run_elsewhere, tmp_path):
    words = ["-m", "cmpc", "doctor", "--quick", "--json", "--cache-dir", tmp_path]

    found = {one["name"]: one for one in run_elsewhere(*words, without=("fcntl",))["findings"]}

    assert found["system"]["status"] == "warning"
    assert "can't be kept to a processor" in found["system"]["found"]
    assert "--cost macs" in found["system"]["advice"]
    assert "governor not told" in found["timing"]["found"]


INDEX = """
import json
import numpy as np
from cmpc_kernels import GalleryIndex, topk

rows = np.random.default_rng(0).standard_normal((500, 16), dtype=np.float32)
found = GalleryIndex.build(rows).search(rows[:40], 3)
print(json.dumps(bool((found.ids == topk(rows[:40], rows, 3, num_threads=2).ids).all())))
"""


def test_an_index_is_searched_there(run_elsewhere):
    assert run_elsewhere("-c", INDEX, without=("fcntl",)) is True


@pytest.mark.slow  # torch is loaded in another process
def test_a_search_by_counted_costs_runs_there(run_elsewhere, project, tmp_path):
    words = project.search(tmp_path / "run", trials=2)

    found = run_elsewhere("-m", "cmpc", *words, "--json", **project.process_environment())

    assert found["counts"]["failed"] == 0
    assert found["front"]


TIMING = """
import json, sys
from pathlib import Path
from cmpc_cost_models.models.catalogue import make_meter
from cmpc_cost_models.compiling.options import CompileOrder
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.timing.settings import MeasureSettings

order = CompileOrder(target=find_target("host"), cache_dir=Path(sys.argv[2]))
settings = MeasureSettings(num_blocks=6, span_seconds=0, block_ms=1.0, warmup_ms=5.0)
with make_meter(order, settings=settings) as meter:
    found = meter.measure(Path(sys.argv[1]))
print(json.dumps(found.to_json()))
"""


@pytest.mark.slow  # two processes that load TVM
def test_a_latency_is_measured_there_and_says_what_nobody_saw(run_elsewhere, tmp_path):
    """A processor that tells its features, since without them nothing is compiled for it."""
    writer = GraphWriter("mean", (1, 3, 16, 16))
    weight = np.full((8, 3, 3, 3), 0.1, np.float32)
    writer.save(
        tmp_path / "net.onnx", writer.global_average_pool(writer.conv(writer.input, weight))
    )
    words = ("-c", TIMING, tmp_path / "net.onnx", tmp_path / "cache")

    found = run_elsewhere(*words, kept=("/proc/cpuinfo",))

    assert found["error"] is None
    assert found["cost"]["value"] > 0
    unseen = "; ".join(found["cost"]["not_observed"])
    assert "this system pins none" in unseen
    assert "how much others used" in unseen
