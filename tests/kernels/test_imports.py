"""A retrieval server installs this package with NumPy and Numba alone."""

import subprocess
import sys

import cmpc_kernels


def test_it_starts_without_the_heavy_libraries():
    script = "import sys, cmpc_kernels; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert {"faiss", "onnx", "optuna", "torch", "tvm"}.isdisjoint(run.stdout.split())
    assert "numba" in run.stdout.split()


def test_what_is_public_is_there_and_sorted():
    assert cmpc_kernels.__all__ == sorted(cmpc_kernels.__all__)
    assert all(hasattr(cmpc_kernels, name) for name in cmpc_kernels.__all__)
