"""Which code made this? A hash over the sources that decide what a network becomes.

Caches of machine code and of its timings are keyed by it, so that a change of a kernel or a rule
never meets what older code made. It follows the imports from one module on, those inside functions
too, so no list of files and no number has to be kept up to date by hand; all imports are absolute,
as the linter demands. Comments and docstrings don't count: they change no code.

    compiling.network   compiled networks: planning, kernels, assembling, linking
    compiling.objects   machine code of single kernels
    kernels.code        tuned schedules, see ``schedules.database``

All keys are made here: ``code_document`` says what decides the code, and ``key_of`` names it.
"""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cmpc_base.hashing import document_hash
from cmpc_cost_models.targets.machine import describe_versions
from cmpc_cost_models.targets.target import Target

__all__ = [
    "CODE_MAKERS",
    "code_document",
    "code_identity",
    "key_of",
    "target_document",
    "versions_of",
]

PACKAGE = Path(__file__).parent
CODE_MAKERS = ("apache-tvm", "apache-tvm-ffi")  # the packages that make machine code of a kernel
KEY_DIGITS = 32


def key_of(document: Mapping[str, Any]) -> str:
    """Return the name of what all parts of a JSON document decide: 32 hexadecimal digits."""
    return document_hash(document)[:KEY_DIGITS]


def code_document(
    module: str,
    target: Target,
    *,
    below: tuple[str, ...] = ("",),
    packages: tuple[str, ...] = CODE_MAKERS,
) -> dict[str, Any]:
    """Return what decides which machine code ``module`` makes for ``target``, as a JSON document.

    Args:
        module, below: Our own code, as ``code_identity`` takes it.
        packages: Whose versions count.
    """
    return {
        "target": target_document(target),
        "code": code_identity(module, below=below),
        "versions": versions_of(*packages),
    }


def target_document(target: Target) -> dict[str, Any]:
    """Return what of a target decides the code that is made for it, as JSON values.

    Not its name: `host` and the level of its processor are one target. Not its cores either.
    """
    return {**target.to_tvm(), "vector_bits": target.vector_bits}


@cache
def code_identity(module: str, *, below: tuple[str, ...] = ("",), package: Path = PACKAGE) -> str:
    """Return a hash over the code of ``module`` and of all modules that it needs.

    Args:
        module: Its name within the package, e.g. ``kernels.code``.
        below: Only modules whose names begin so count, e.g. ``kernels.``; by default all.
        package: The folder of the package.

    Raises:
        ModuleNotFoundError: there is no source of ``module``, and so nothing to tell code apart by.
    """
    if _file_of(module, package) is None:
        raise ModuleNotFoundError(f"the source of {package.name}.{module} must be in {package}")
    digest = hashlib.sha256()
    for name, tree in sorted(_needed(module, below, package).items()):
        digest.update(f"{name}\0{ast.dump(_without_docstrings(tree))}\0".encode())
    return digest.hexdigest()


def versions_of(*packages: str) -> dict[str, str | None]:
    """Return the installed versions of ``packages``; None of what is not there."""
    versions = describe_versions()
    return {name: versions.get(name) for name in packages}


def _needed(module: str, below: tuple[str, ...], package: Path) -> dict[str, ast.Module]:
    """Return ``module`` and what it imports from the package, and what that imports, parsed."""
    found: dict[str, ast.Module] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _file_of(name, package)
        if name in found or path is None or not name.startswith(below):
            continue
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
        waiting += _imported(found[name], package.name)
    return found


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield the names within the package that may be modules that ``tree`` imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        prefix = f"{package}."
        yield from (name.removeprefix(prefix) for name in names if name.startswith(prefix))


def _file_of(name: str, package: Path) -> Path | None:
    path = package.joinpath(*name.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((one for one in candidates if one.is_file()), None)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node):
            del node.body[0]
    return tree
