"""Hand the trained pick over as a bundle: what was measured is what ships (see ``shipping``).

The bundle's program is run once, here or under an emulator, before the bundle gets its name.
"""

from dataclasses import dataclass
from pathlib import Path

from cmpc_base.progress import SILENT, Observer
from cmpc_cost_models import Target
from cmpc_cost_models.bundles.manifest import BundleContents
from cmpc_cost_models.bundles.opening import Bundle, open_bundle
from cmpc_cost_models.bundles.verification import verifier
from cmpc_cost_models.bundles.writing import write_bundle
from cmpc_cost_models.records import CompiledNetwork
from cmpc_cost_models.targets.compilers import cxx_compiler_for
from cmpc_cost_models.targets.toolchain import Toolchain, find_toolchain
from cmpc_search.data.preprocessing import our_preprocessing
from cmpc_search.embeddings import GALLERY_NETWORK_KEY, SPLIT_SEED_KEY
from cmpc_search.errors import BadArgument
from cmpc_search.runs import RunFolder
from cmpc_search.stages.material import CROP_SHARE_KEY
from cmpc_search.stages.run_material import search_settings_of, target_of
from cmpc_search.stages.shipping import ShippedNetwork, Shipper
from cmpc_search.stages.trained_picks import TrainedPick, trained_pick

__all__ = ["BundleOrder", "build_bundle"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleOrder:
    """What to build.

    Attributes:
        cache_dir: Where tuned schedules and the runtimes for other processors are kept.
        target: What to compile for; None is the target of the search.
        seed: Which of the trained networks.
        with_runner: Build the native program; None builds it where a compiler is at hand.
        must_verify: Refuse to write a bundle that can't be run here first.
    """

    folder: Path
    cache_dir: Path
    target: Target | None = None
    seed: int = 0
    with_runner: bool | None = None
    must_verify: bool = True


def build_bundle(run: RunFolder, order: BundleOrder, observer: Observer = SILENT) -> Bundle:
    """Take the compiled pick that was measured, or compile and measure it, and write its bundle.

    Raises:
        BadArgument: no network of that seed is trained, another bundle is in the folder, or the
            target can't be run here.
        CompileFailed: the network or the native program does not compile.
        BadBundle, ProgramFailed: the bundle doesn't answer as ONNX Runtime does.
    """
    target = order.target or target_of(run)
    toolchain = find_toolchain(target, cache_dir=order.cache_dir)
    toolchain.require_compiler()
    can_build = cxx_compiler_for(target) is not None
    with_runner = can_build if order.with_runner is None else order.with_runner
    can_verify = target.runs_here or (with_runner and toolchain.can_execute)
    if order.must_verify and not can_verify:
        raise BadArgument(_why_unverified(toolchain))
    trained = trained_pick(run, order.seed)
    shipper = Shipper(
        run=run, trained=trained, target=target, cache_dir=order.cache_dir, observer=observer
    )
    if order.folder.exists():
        evaluated = shipper.evaluated()
        compiled = evaluated.compiled if evaluated else shipper.compiled()
        return _existing(order.folder, trained, compiled)
    shipped = shipper.shipped()
    verify = verifier(trained.onnx_path, shipped.compiled, toolchain) if can_verify else None
    return write_bundle(
        order.folder,
        _contents(shipper, shipped),
        with_runner=with_runner,
        runtime_folder=toolchain.runtime,
        verify=verify,
    )


def _contents(shipper: Shipper, shipped: ShippedNetwork) -> BundleContents:
    run, trained = shipper.run, shipper.trained
    return BundleContents(
        compiled=shipped.compiled,
        target=shipper.target,
        preprocessing=our_preprocessing(
            shipped.compiled.input_shape[2], run.inputs.get(CROP_SHARE_KEY)
        ),
        cost=shipped.cost,
        cost_doubts=shipped.doubts,
        why_unmeasured=shipped.why_unmeasured,
        provenance={
            "architecture": trained.architecture,
            "seed": trained.seed,
            "data": search_settings_of(run).data,
            SPLIT_SEED_KEY: run.fact(SPLIT_SEED_KEY),
            GALLERY_NETWORK_KEY: run.fact(GALLERY_NETWORK_KEY),
        },
    )


def _existing(folder: Path, trained: TrainedPick, compiled: CompiledNetwork) -> Bundle:
    """Return the bundle in ``folder`` if it is of this network."""
    existing = open_bundle(folder, must_run_here=False)
    if existing.network_sha256 == compiled.sha256:
        return existing
    provenance = existing.manifest["provenance"]
    there = provenance.get("architecture"), provenance.get("seed")
    how = (
        "from other weights, for another processor or by another cmpc"
        if there == (trained.architecture, trained.seed)
        else f"of {there[0]}, seed {there[1]}"
    )
    raise BadArgument(
        f"{folder} must hold a bundle of {trained.architecture}, seed {trained.seed}, as it is "
        f"compiled now, or not be there, and has one that was made {how}; remove it or choose "
        "another folder"
    )


def _why_unverified(toolchain: Toolchain) -> str:
    lacking = "; ".join(toolchain.lacking) or "it is to have no native program"
    return (
        f"a bundle for {toolchain.target.name} must be run here before it is written, and can't: "
        f"{lacking}. Or write it unverified, with --no-verify"
    )
