"""The command line must answer at once, so the heavy libraries stay out of its start-up."""

import subprocess
import sys

HEAVY = {
    *("faiss", "matplotlib", "numba", "numpy", "onnx", "onnxruntime", "optuna", "PIL", "plotly"),
    *("pydantic", "rich", "safetensors", "torch", "tvm"),
}
PRINT_MODULES = "; print(*sys.modules, file=sys.stderr)"


def modules_after(script: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", script + PRINT_MODULES], capture_output=True, text=True, check=True
    )
    return set(run.stderr.split())


def test_help_imports_no_heavy_library_and_no_command():
    modules = modules_after(
        "import sys; from cmpc.cli import command_line; "
        "command_line(['--help'], standalone_mode=False)"
    )

    assert HEAVY.isdisjoint(modules)
    assert {name for name in modules if name.startswith("cmpc.")} <= {
        *("cmpc.cli", "cmpc.cli.failures", "cmpc.cli.group", "cmpc.commands", "cmpc.errors")
    }


def test_no_command_module_imports_a_heavy_library():
    modules = modules_after(
        "import sys; from importlib import import_module; from cmpc.commands import COMMANDS; "
        "[import_module(entry.path.split(':')[0]) for entry in COMMANDS.values()]"
    )

    assert HEAVY.isdisjoint(modules)
