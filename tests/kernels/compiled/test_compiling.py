"""What a first call waits for: each loop is compiled once, whatever the call."""

import json
import os
import subprocess
import sys

import pytest

CALLS = """
import json
import numpy as np
from cmpc_kernels import GalleryIndex, topk
from cmpc_kernels.compiled import candidates, encoders, heaps, scans

row_GD = np.random.default_rng(0).standard_normal((1000, 24), dtype=np.float32)
for metric in ("ip", "cosine", "l2"):
    index = GalleryIndex.build(row_GD[:900], metric=metric)
    index.add(row_GD[900:])
    index.remove([3])
    for num_queries in (1, 2, 16, 40):
        index.search(row_GD[:num_queries], 3)
        index.search(row_GD[:num_queries], 200, allow=[5, 7, 900])
        topk(row_GD[:num_queries], row_GD[::2], 3, metric)
counts = {}
for module in (candidates, encoders, heaps, scans):
    for name, value in vars(module).items():
        if hasattr(value, "signatures") and value.py_func.__module__ == module.__name__:
            counts[name] = len(value.signatures)
print(json.dumps(counts))
"""


@pytest.mark.slow
def test_each_loop_is_compiled_for_one_kind_of_arguments(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", CALLS],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},  # empty: all is compiled
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    counts = json.loads(run.stdout)

    assert {"collect", "encode_block", "scan_plain", "scan_rows", "scan_singly"} < counts.keys()
    assert {name: count for name, count in counts.items() if count > 1} == {}
