"""What trained networks find in the test split, beside the gallery networks that they fit.

One seed is one query network beside one gallery network; all of them are asked the same queries.
"""

from collections.abc import Sequence

from cmpc_search.errors import BadRun
from cmpc_search.evaluation.base import Protocol
from cmpc_search.evaluation.outcomes import SeedResult
from cmpc_search.evaluation.templates import Templates
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.runs import RunFolder
from cmpc_search.stages.accuracy import OPEN_SET, Side, evaluate_both_ways
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.stages.scored_queries import SPLIT
from cmpc_search.stages.seeds import parts_of
from cmpc_search.stages.template_judging import TemplateJudge
from cmpc_search.stages.trained_picks import TrainedPick

__all__ = ["result_of", "results_of_seeds"]


def results_of_seeds(
    run: RunFolder,
    material: SearchMaterial,
    picks: Sequence[TrainedPick],
    protocol: Protocol = OPEN_SET,
) -> tuple[SeedResult, ...]:
    """Return what each trained network finds in the test split, and its gallery network with it.

    Raises:
        BadRun: a pick was trained to fit another gallery network than the one that is there.
    """
    materials = [_material_of(run, material, pick) for pick in picks]
    return tuple(
        result_of(pick.load(own), own, seed=pick.seed, protocol=protocol)
        for pick, own in zip(picks, materials, strict=True)
    )


def result_of(
    network: PlanNetwork, material: SearchMaterial, *, seed: int, protocol: Protocol = OPEN_SET
) -> SeedResult:
    """Return what a network finds in the test split, and the gallery network of ``material``."""
    image_set, rows = material.image_set, material.gallery_rows
    own_size = material.images_at(network.plan.image.size_px)
    if isinstance(protocol, Templates) and material.templates is not None:
        judge_of = TemplateJudge(
            image_set=image_set, templates=material.templates, gallery_rows=rows
        )
        paragon, both = judge_of.paragon(), judge_of.both_ways(network, own_size)
    else:
        sides = (Side(image_set, SPLIT, role).chosen_from(rows) for role in ("query", "gallery"))
        paragon = protocol.evaluate(*sides)
        both = evaluate_both_ways(network, own_size, SPLIT, rows, protocol)
    return SeedResult(
        seed=seed,
        paragon=paragon,
        homogeneous=both.homogeneous,
        heterogeneous=both.heterogeneous,
    )


def _material_of(run: RunFolder, material: SearchMaterial, pick: TrainedPick) -> SearchMaterial:
    """Return the material with the gallery network that a pick was trained to fit."""
    own = parts_of(run, material, pick.seed_of_parts).material
    if own.gallery.network_sha256 != pick.gallery_network_sha256:
        raise BadRun(
            f"{pick.folder} must be judged beside the gallery network that it was trained to fit "
            f"({pick.gallery_network_sha256}), got {own.gallery.network_sha256} in "
            f"{own.gallery.path}; run `cmpc train` again"
        )
    return own
