"""Turn an ONNX file into one shared library for a target, or find the one made earlier.

    ONNX --kernels--> code --LLVM--> <cache>/kernels/*/*.o --linker--> <cache>/<key>/network.so
                                                                      <cache>/<key>/compiled.json

The key is the hash of all that the library depends on: graph, target, threads, schedules, linker,
versions and our own code (``identity``). An entry appears whole or not at all, and one whose
library was altered is made again.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmpc_base.errors import CmpcError
from cmpc_base.folders import folder_draft
from cmpc_base.hashing import file_hash
from cmpc_base.json_files import read_json, write_json
from cmpc_cost_models.errors import CompileFailed
from cmpc_cost_models.graphs.reading import input_and_output_shape, load_graph
from cmpc_cost_models.identity import CODE_MAKERS, code_document, key_of, target_document
from cmpc_cost_models.records import CompiledNetwork
from cmpc_cost_models.schedules.schedule import ScheduleSource
from cmpc_cost_models.targets.compilers import describe_program, linker_for
from cmpc_cost_models.targets.target import Target

__all__ = ["LIBRARY_NAME", "compile_network", "find_compiled"]

LIBRARY_NAME = "network.so"
RECORD_NAME = "compiled.json"
OBJECTS_NAME = "kernels"
TARGET_KEY = "target"  # in a record: all of the target that the code depends on
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
        num_threads: How many threads will run it. It answers the same with any other number, but
            only more than one makes parallel loops.
        schedules: Who chooses the kernels' schedules; rules of our own where nobody does.

    Raises:
        BadNetworkFile: the file can't be read or isn't static.
        CompileFailed: TVM or the linker refuses it.
    """
    graph_sha256 = file_hash(onnx_path) if onnx_path.is_file() else ""
    how = _How(
        target=target,
        num_threads=num_threads,
        schedules=schedules,
        objects_dir=cache_dir / OBJECTS_NAME,
    )
    folder = cache_dir / _cache_key(graph_sha256, how)
    if found := _read_entry(folder):
        return found
    # Of two that compile at once the first one's stays: who compiles twice need not get the same
    # bytes, and whoever measures must name those that stay.
    with folder_draft(folder, is_whole=_is_whole, replace=True) as draft:
        record = _compile(onnx_path, how, draft) | {"graph_sha256": graph_sha256}
        write_json(draft / RECORD_NAME, record)
    kept = read_json(folder / RECORD_NAME)
    return _as_compiled(folder, kept, from_cache=kept["sha256"] != record["sha256"])


def find_compiled(cache_dir: Path, sha256: str, target: Target) -> CompiledNetwork | None:
    """Return the compiled network of this hash that was made for ``target``, if it is still there.

    Nothing is compiled: it is for whoever wants the very library that a cost was measured of,
    whatever the same graph would become today.
    """
    for path in sorted(cache_dir.glob(f"*/{RECORD_NAME}")):
        try:
            record = read_json(path)
            is_wanted = (record["sha256"], record[TARGET_KEY]) == (sha256, target_document(target))
        except (OSError, ValueError, KeyError, TypeError):  # somebody is at it, or it is damaged
            continue
        if is_wanted and (found := _read_entry(path.parent)):
            return found
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class _How:
    """All that decides what a graph becomes, and where parts of the work are kept."""

    target: Target
    num_threads: int
    schedules: ScheduleSource | None
    objects_dir: Path


def _compile(onnx_path: Path, how: _How, folder: Path) -> dict[str, Any]:
    """Compile into ``folder`` and return the record of what was made."""
    target = how.target
    model = load_graph(onnx_path)
    input_shape, output_shape = input_and_output_shape(model)
    linker = linker_for(target)
    if linker is None:
        raise CompileFailed(
            f"linking for {target.name} needs a C++ compiler and none was found; "
            f"install g++ (for another processor: g++-{target.triple.replace('_', '-')})"
        )
    from cmpc_cost_models.compiling.executable import build_executable, export_library

    start = time.perf_counter()
    library = folder / LIBRARY_NAME
    try:
        built = build_executable(
            model,
            target,
            objects_dir=how.objects_dir,
            num_threads=how.num_threads,
            schedules=how.schedules,
        )
        export_library(built, target, library, linker=linker)
    except CmpcError:
        raise
    # TVM raises whatever its passes raise; all of it means that this network does not compile.
    except Exception as error:
        raise CompileFailed(
            f"{onnx_path.name} must compile for {target.name}: {_first_line(error)}"
        ) from error
    return {
        "sha256": file_hash(library),
        TARGET_KEY: target_document(target),
        "compile_seconds": time.perf_counter() - start,
        "input_shape": list(input_shape),
        "output_shape": list(output_shape),
        "num_threads": how.num_threads,
        "kernels": [kernel.to_json() for kernel in built.kernels],
        "calls": [call.to_json() for call in built.calls],
        "nodes": [node.to_json() for node in built.nodes],
    }


def _read_entry(folder: Path) -> CompiledNetwork | None:
    """Return the entry in ``folder`` if it is whole and its library is the recorded one."""
    try:
        record = read_json(folder / RECORD_NAME)
        if file_hash(folder / LIBRARY_NAME) != record["sha256"]:
            return None
        return _as_compiled(folder, record, from_cache=True)
    except (OSError, ValueError, KeyError, TypeError):  # BadArgument: fields of another time
        return None


def _is_whole(folder: Path) -> bool:
    return _read_entry(folder) is not None


def _as_compiled(folder: Path, record: dict[str, Any], *, from_cache: bool) -> CompiledNetwork:
    place = {"path": str(folder / LIBRARY_NAME), "from_cache": from_cache}
    fields = {name: value for name, value in record.items() if name != TARGET_KEY}
    return CompiledNetwork.from_json(fields | place)


def _cache_key(graph_sha256: str, how: _How) -> str:
    code = code_document("compiling.network", how.target, packages=PACKAGES_THAT_COUNT)
    parts = {
        "graph": graph_sha256,
        "linker": describe_program(linker_for(how.target)),
        "num_threads": how.num_threads,
        "schedules": how.schedules.state_sha256() if how.schedules else "",
    }
    return key_of(code | parts)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else 'no message'}"[:500]
