"""What a change of our own code does to the names under which its products are kept."""

import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest

from cmpc_cost_models import identity
from cmpc_cost_models.compiling import network as compiling
from cmpc_cost_models.compiling.executable import build_network
from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.compiling.objects import KernelObjects
from cmpc_cost_models.compiling.options import BuildOptions
from cmpc_cost_models.graphs.reading import load_graph
from cmpc_cost_models.identity import PACKAGE, code_identity
from cmpc_cost_models.plans.maps import Map, View
from cmpc_cost_models.plans.specs import MaxPool, Window
from cmpc_cost_models.schedules.database import database_path
from cmpc_cost_models.schedules.rules import rule_schedule
from cmpc_cost_models.schedules.workload import Workload
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.targets.target import Target

# They say which schedule is taken, and a network's key has that schedule's state.
NEVER_IN_MACHINE_CODE = {
    f"schedules.{name}" for name in ("database", "records", "similar", "source")
}

SOURCES = {
    "made.py": "from package.parts import kernel\n\ndef make():\n    from package import late\n",
    "parts/__init__.py": "",
    "parts/kernel.py": "LOOPS = 3\n",
    "late.py": "LINKER = 'ld'\n",
    "errors.py": "class Error(Exception): ...\n",
}


@pytest.fixture
def identity_after(tmp_path):
    """Writes the sources with some of them changed, and hashes what `made` needs."""

    def after(below="", **changes: str) -> str:
        folder = Path(tmp_path / str(len(list(tmp_path.iterdir()))) / "package")
        for name, text in (SOURCES | changes).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        module = "parts.kernel" if below else "made"
        return code_identity(module, below=below, package=folder)

    return after


@pytest.mark.parametrize("name", ["made.py", "parts/kernel.py", "late.py"])
def test_any_code_that_is_needed_counts_also_where_a_function_imports_it(identity_after, name):
    changed = SOURCES[name] + "NEW = 1\n"

    assert identity_after() != identity_after(**{name: changed})


def test_other_code_comments_and_docstrings_do_not_count(identity_after):
    before = identity_after()

    assert identity_after(**{"errors.py": "NEW = 1\n"}) == before
    assert identity_after(**{"late.py": '"""Why."""\n# how\nLINKER = "ld"\n'}) == before


def test_a_subpackage_alone_is_told_apart_by_its_own_code(identity_after):
    before = identity_after(below=("parts.",))

    assert identity_after(below=("parts.",), **{"late.py": "NEW = 1\n"}) == before
    assert identity_after(below=("parts.",), **{"parts/kernel.py": "LOOPS = 4\n"}) != before


def test_a_module_without_source_has_no_identity(identity_after, tmp_path):
    identity_after()

    with pytest.raises(ModuleNotFoundError, match=r"package\.nowhere"):
        code_identity("nowhere", package=tmp_path / "0" / "package")


def test_every_file_that_decides_machine_code_is_in_the_identity_of_networks():
    needed = identity._needed("compiling.network", ("",), PACKAGE)

    decisive = {
        f"{folder}.{path.stem}"
        for folder in (
            "compiling",
            "graphs.patterns",
            "kernels",
            "plans",
            "plans.rules",
            "schedules",
        )
        for path in PACKAGE.joinpath(*folder.split(".")).glob("[!_]*.py")
    } - NEVER_IN_MACHINE_CODE
    assert decisive <= needed.keys()
    assert {"graphs.reading", "graphs.cleaning", "targets.target"} <= needed.keys()
    assert not {name for name in needed if name.startswith(("timing", "tuning", "sites"))}


@pytest.mark.parametrize("change", ["code", "onnx", "numpy", "apache-tvm", "linker"])
def test_a_network_is_compiled_again_after_a_change_of_what_makes_it(
    host, tiny_network, tmp_path, monkeypatch, change
):
    first = compile_network(tiny_network, host, cache_dir=tmp_path)
    assert compile_network(tiny_network, host, cache_dir=tmp_path).from_cache
    if change == "code":
        monkeypatch.setattr(identity, "code_identity", lambda *_, **__: "another compiler")
    elif change == "linker":
        monkeypatch.setattr(compiling, "describe_program", lambda path: {"path": path})
    else:
        versions = identity.versions_of(*compiling.PACKAGES_THAT_COUNT) | {change: "0.0.1"}
        monkeypatch.setattr(identity, "versions_of", lambda *_: versions)

    second = compile_network(tiny_network, host, cache_dir=tmp_path)

    assert not second.from_cache
    assert second.path != first.path


def test_a_kernel_is_compiled_again_after_a_change_of_its_code(host, tmp_path, monkeypatch):
    source = View.whole(Map(height=4, width=4, channels=8))
    window = Window(kernel=(2, 2), strides=(2, 2), pads=(0, 0), dilations=(1, 1))
    pool = MaxPool(source=source, target=Map(height=2, width=2, channels=8), window=window)
    workload = Workload.of(pool, host, num_threads=1)
    schedule = rule_schedule(workload)
    first = KernelObjects(tmp_path, host).find_or_compile(workload, schedule)
    again = KernelObjects(tmp_path, host).find_or_compile(workload, schedule)
    monkeypatch.setattr(identity, "code_identity", lambda *_, **__: "another kernel")

    changed = KernelObjects(tmp_path, host).find_or_compile(workload, schedule)

    assert first == again
    assert first.path.parent != changed.path.parent


@pytest.mark.parametrize(
    "change", [{"num_threads": 2}, {"schedules": SimpleNamespace(state_sha256=lambda: "tuned")}]
)
def test_a_library_for_other_threads_or_of_other_schedules_is_another_entry(change, host, tmp_path):
    options = BuildOptions(
        target=host, objects_dir=tmp_path, num_threads=1, schedules=compiling.RULES_ONLY
    )

    key = compiling._cache_key("graph", options)

    assert key != compiling._cache_key("graph", dataclasses.replace(options, **change))
    assert key != compiling._cache_key("another graph", options)


@pytest.mark.parametrize(
    ("change", "is_other_code"),
    [({"vector_bits": 512}, True), ({"cpu": "skylake"}, True), ({"name": "mine"}, False)],
)
def test_what_code_depends_on_is_in_the_document_of_a_target(change, is_other_code):
    target = find_target("x86-64-v3")

    changed = identity.target_document(dataclasses.replace(target, **change))

    assert (changed != identity.target_document(target)) == is_other_code


def test_a_machine_that_gains_cores_keeps_all_that_was_compiled_for_it(
    host, tiny_network, tmp_path
):
    first = compile_network(tiny_network, host, cache_dir=tmp_path)
    resized = dataclasses.replace(host, num_cores=host.num_cores + 62)

    assert compile_network(tiny_network, resized, cache_dir=tmp_path).path == first.path
    assert database_path(tmp_path, resized) == database_path(tmp_path, host)


@pytest.mark.parametrize("num_threads", [1, 3])
def test_no_machine_code_depends_on_how_many_cores_tvm_is_told_of(
    host, tiny_network, tmp_path, monkeypatch, num_threads
):
    """Of our kernels, of TVM's own for an imported node, and of what calls them."""
    sine = tmp_path / "sine.onnx"
    model = onnx.load(tiny_network)
    node = model.graph.node[-1]
    model.graph.node.append(onnx.helper.make_node("Sin", [node.output[0]], ["sine"]))
    model.graph.output[0].name = "sine"
    onnx.save(model, sine)
    told = host.to_tvm()
    monkeypatch.setattr(identity, "target_document", lambda _: told)  # names of kernels have it

    def code_with(num_cores):
        monkeypatch.setattr(Target, "to_tvm", lambda _: told | {"num-cores": num_cores})
        objects_dir = tmp_path / f"of {num_cores} cores"
        options = BuildOptions(target=host, objects_dir=objects_dir, num_threads=num_threads)
        built = build_network(load_graph(sine), options)
        names = {path.name for path in objects_dir.rglob("*.o")}  # each is the hash of its content
        [rest] = [one for one in built.program.executable.mod.imports if one.kind == "llvm"]
        return names, re.sub(r'"0x[0-9a-f]+"', "", rest.inspect_source("ll"))  # TVM's own pointers

    assert code_with(1) == code_with(64)
