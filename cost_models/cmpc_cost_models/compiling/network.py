"""Turn an ONNX file into one shared library for a target, or find the one made earlier.

    ONNX --kernels--> code --LLVM--> <cache>/kernels/*/*.o
                                     --linker--> <cache>/compiled/<key>/network.so  compiled.json

The key is the hash of all that the library depends on: graph, target, threads, schedules, linker,
versions and our own code (``identity``). An entry appears whole or not at all, and one whose
library was altered is made again.
"""

import time
from pathlib import Path
from typing import Any

from cmpc_base.cache import Cache
from cmpc_base.errors import CmpcError
from cmpc_base.hashing import file_hash
from cmpc_base.printable import last_line
from cmpc_cost_models.compiling.entries import LIBRARY_NAME, publish_entry, read_entry
from cmpc_cost_models.compiling.options import BuildOptions
from cmpc_cost_models.errors import CompileFailed
from cmpc_cost_models.graphs.reading import input_and_output_shape, load_graph
from cmpc_cost_models.identity import CODE_MAKERS, code_document, key_of
from cmpc_cost_models.records import CompiledNetwork
from cmpc_cost_models.schedules.rules import RULES_ONLY
from cmpc_cost_models.schedules.schedule import ScheduleSource
from cmpc_cost_models.targets.compilers import describe_program, linker_for, require_linker
from cmpc_cost_models.targets.target import Target

__all__ = ["compile_network"]

# The last two read the graph and fold its constants: they decide which weights are in the library.
PACKAGES_THAT_COUNT = (*CODE_MAKERS, "onnx", "numpy")


def compile_network(
    onnx_path: Path,
    target: Target,
    *,
    cache_dir: Path,
    num_threads: int = 1,
    schedules: ScheduleSource | None = None,
) -> CompiledNetwork:
    """Compile an ONNX file for ``target``, or return what an earlier call compiled.

    Args:
        cache_dir: The cache: compiled networks and machine code of kernels are kept there.
        num_threads: How many threads will run it. It answers the same with any other number, but
            only more than one makes parallel loops.
        schedules: Who chooses the kernels' schedules; rules of our own where nobody does.

    Raises:
        BadNetworkFile: the file can't be read or isn't static.
        CompileFailed: TVM or the linker refuses it.
    """
    graph_sha256 = file_hash(onnx_path) if onnx_path.is_file() else ""
    cache = Cache(cache_dir)
    options = BuildOptions(
        target=target,
        objects_dir=cache.kernels,
        num_threads=num_threads,
        schedules=schedules or RULES_ONLY,
    )
    folder = cache.compiled / _cache_key(graph_sha256, options)
    cache.mark_used(folder)
    if found := read_entry(folder):
        return found
    return publish_entry(
        folder,
        target,
        lambda draft: _compile(onnx_path, options, draft) | {"graph_sha256": graph_sha256},
    )


def _compile(onnx_path: Path, options: BuildOptions, folder: Path) -> dict[str, Any]:
    """Compile into ``folder`` and return the record of what was made."""
    model = load_graph(onnx_path)
    input_shape, output_shape = input_and_output_shape(model)
    linker = require_linker(options.target)
    from cmpc_cost_models.compiling.executable import build_network

    start = time.perf_counter()
    try:
        built = build_network(model, options)
        built.link(folder / LIBRARY_NAME, linker)
    except CmpcError:
        raise
    # TVM raises whatever its passes raise; all of it means that this network does not compile.
    except Exception as error:
        raise CompileFailed(
            f"{onnx_path.name} must compile for {options.target.name}: {last_line(error)}"
        ) from error
    return {
        "compile_seconds": time.perf_counter() - start,
        "input_shape": list(input_shape),
        "output_shape": list(output_shape),
        "num_threads": options.num_threads,
        "schedules_sha256": options.schedules.state_sha256() or None,
        "executor": built.executor,
        "kernels": [kernel.to_json() for kernel in built.kernels],
        "calls": [call.to_json() for call in built.calls],
        "nodes": [node.to_json() for node in built.nodes],
    }


def _cache_key(graph_sha256: str, options: BuildOptions) -> str:
    code = code_document("compiling.network", options.target, packages=PACKAGES_THAT_COUNT)
    parts = {
        "graph": graph_sha256,
        "linker": describe_program(linker_for(options.target)),
        "num_threads": options.num_threads,
        "schedules": options.schedules.state_sha256(),
    }
    return key_of(code | parts)
