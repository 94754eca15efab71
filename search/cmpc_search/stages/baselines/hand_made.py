"""Baselines that somebody made by hand, in the width that the pick's MACs afford.

No supernet knows them, so they begin with random weights. They read images of the pick's size.
"""

from dataclasses import dataclass, replace
from functools import partial

import torch

from cmpc_search.compatibility.making import make_method
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.runs import RunFolder
from cmpc_search.space.plan import Plan
from cmpc_search.space.presets.hand_made import MOBILENET_V2, SHUFFLENET_V2, HandMade
from cmpc_search.stages.baselines.base import Baseline, Contest
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.stages.pick_training import QueryPlan, pick_plan
from cmpc_search.stages.seeds import SeedParts
from cmpc_search.stages.settings import TrainSettings
from cmpc_search.training.query_task import QueryTask
from cmpc_search.training.settings import PickTraining

__all__ = ["HandMadeBaseline", "mobilenet_v2", "shufflenet_v2"]

NETWORKS: dict[str, HandMade] = {"mobilenet-v2": MOBILENET_V2, "shufflenet-v2": SHUFFLENET_V2}
LARGE_PX = 96
"""From here on the first convolution halves images, as published; smaller ones it leaves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HandMadeBaseline(Baseline):
    """One of `NETWORKS`, of images and MACs like those of the pick, whose training it shares."""

    size_px: int
    macs: int

    @property
    def key(self) -> str:
        return f"{self.row}-{self.size_px}px-{self.macs}"

    def network_plan(self, material: SearchMaterial) -> Plan:
        """Return the network.

        Raises:
            BadArgument: even its narrowest costs more.
        """
        published = NETWORKS[self.row]
        sized = replace(
            published,
            input_size_px=self.size_px,
            embedding_dim=material.gallery.embedding_dim,
            stem_stride=published.stem_stride if self.size_px >= LARGE_PX else 1,
        )
        return sized.scaled_to(self.macs).plan()

    def query_plan(self, run: RunFolder, parts: SeedParts, training: PickTraining) -> QueryPlan:
        begun = TrainSettings(pick=training.model_copy(update={"from_supernet": False}))
        plan = pick_plan(run, parts, self.architecture, begun)
        network = self.network_plan(parts.material)
        return replace(
            plan,
            facts=replace(plan.facts, architecture=self.key),
            new_task=partial(_task, parts.material, network),
            order={**plan.order, "kind": "hand-made", "row": self.row},
        )


def mobilenet_v2(contest: Contest) -> tuple[Baseline, ...]:
    """Return MobileNetV2 of the pick's MACs."""
    return (_scaled(contest, "mobilenet-v2", "MobileNetV2"),)


def shufflenet_v2(contest: Contest) -> tuple[Baseline, ...]:
    """Return ShuffleNetV2 of the pick's MACs."""
    return (_scaled(contest, "shufflenet-v2", "ShuffleNetV2"),)


def _scaled(contest: Contest, row: str, name: str) -> HandMadeBaseline:
    plan = contest.material.space.plan(contest.architecture)
    return HandMadeBaseline(
        row=row,
        name=name,
        words=f"{name} scaled to its MACs",
        start="random weights",
        size_px=plan.input_size_px,
        macs=contest.macs,
        architecture=contest.architecture,
    )


def _task(material: SearchMaterial, plan: Plan) -> QueryTask:
    settings = material.settings
    torch.manual_seed(settings.seed)
    network = PlanNetwork(plan)
    method = make_method(settings.method, material.gallery_bank, settings.method_settings)
    return QueryTask(network, method)
