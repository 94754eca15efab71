"""What is shipped: a folder that runs a network on its target, and proves that it is whole.

    bundle/
      manifest.json           what this is, for which machine, what it costs, every file's hash
      network.so              code and weights: the very file that was measured
      lib/libtvm_*.so         TVM's runtime, from the installed wheels
      run, runner.cc          a native program that needs no Python, where a C++ compiler was found

A bundle is written beside its place, run once and moved there, so that it exists whole and right or
not at all.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cmpc_base.folders import check_new_or_empty, folder_draft
from cmpc_base.hashing import file_hash
from cmpc_base.json_files import write_json
from cmpc_cost_models.bundles.manifest import MANIFEST_NAME, BundleContents, manifest_of
from cmpc_cost_models.bundles.opening import Bundle, open_bundle
from cmpc_cost_models.compiling.entries import LIBRARY_NAME
from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.sites.program import build_runner, copy_runtime

__all__ = ["write_bundle"]

Verify = Callable[[Path], Mapping[str, Any]]  # folder of the draft -> what stands in the manifest


def write_bundle(
    folder: Path,
    contents: BundleContents,
    *,
    with_runner: bool,
    runtime_folder: Path | None = None,
    verify: Verify | None = None,
) -> Bundle:
    """Write a bundle to ``folder``, which must be new or empty.

    Args:
        with_runner: Compile the native program; needs a C++ compiler for the target.
        runtime_folder: Where the target's libtvm_runtime.so and libtvm_ffi.so are; by default
            those of the installed packages, which only fit targets of this processor's kind.
        verify: Runs the finished draft and tells what it found; what it raises ends the writing.

    Raises:
        BadArgument: ``folder`` holds something, the library isn't what was compiled, or no
            runtime fits.
        CompileFailed: the native program does not compile.
    """
    check_new_or_empty(folder, what="a bundle", error=BadArgument)
    with folder_draft(folder) as draft:
        shutil.copyfile(contents.compiled.path, draft / LIBRARY_NAME)
        if file_hash(draft / LIBRARY_NAME) != contents.compiled.sha256:
            raise BadArgument(f"{contents.compiled.path} must be the library that was compiled")
        copy_runtime(contents.target, draft, runtime_folder)
        if with_runner:
            build_runner(contents.target, draft, contents.compiled.input_shape)
        manifest = manifest_of(contents, draft, None if verify is None else verify(draft))
        write_json(draft / MANIFEST_NAME, manifest)
    return open_bundle(folder, must_run_here=False)
