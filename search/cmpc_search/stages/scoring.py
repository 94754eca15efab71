"""Score one candidate: how well it retrieves on validation classes, and what it costs.

architecture --> slice of the supernet --> batch norms rebuilt --> embeddings --> M(q,q), M(q,g)
                          \\--> ONNX --> compiled, checked, timed or predicted --> latency
"""

import math
import time
from pathlib import Path

import numpy as np
import torch

from cmpc_cost_models.models.base import CostModel
from cmpc_search.networks.onnx_export import export_network
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.networks.shared import Supernet
from cmpc_search.pixels import to_float
from cmpc_search.space.base import Architecture
from cmpc_search.stages.accuracy import accuracy_of, evaluate_both_ways
from cmpc_search.stages.costs import network_cost
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.study.records import CandidateScore
from cmpc_search.study.rewards.base import RewardFacts
from cmpc_search.study.rewards.catalogue import REWARDS
from cmpc_search.training.recalibration import rebuild_batch_norms

__all__ = ["CandidateScorer"]

SPLIT = "validation"
MAX_CALIBRATION_IMAGES = 4096


class CandidateScorer:
    """Scores architectures of one supernet.

    ``meter`` is None where the cost is counted in MACs and nothing is compiled.
    """

    def __init__(
        self, supernet: Supernet, material: SearchMaterial, meter: CostModel | None, *, folder: Path
    ) -> None:
        self._supernet = supernet
        self._material = material
        self._reward = REWARDS.load(material.settings.reward)
        self._meter = meter
        self._folder = folder
        positions = material.image_set.select(split="train")
        chosen = positions[:: math.ceil(len(positions) / MAX_CALIBRATION_IMAGES)]
        images = np.ascontiguousarray(material.image_set.images[chosen])
        self._calibration_images = to_float(torch.from_numpy(images))

    def __call__(self, architecture: Architecture) -> CandidateScore:
        """Score ``architecture``; what goes wrong with it comes back as the score's error."""
        started = time.monotonic()
        network = self._supernet.extract(architecture)
        rebuild_batch_norms(network, self._calibration_images)
        path = self._folder / f"{architecture.key}.onnx"
        export_network(network, path)
        facts = self._judged(network)
        cost = network_cost(path, self._meter)
        settings = self._material.settings
        return CandidateScore(
            architecture=architecture.key,
            homogeneous=facts.homogeneous,
            heterogeneous=facts.heterogeneous,
            reward_name=f"{settings.reward} {settings.metric}",
            reward=self._reward(facts),
            macs=cost.macs,
            parameters=cost.parameters,
            latency=None if cost.latency is None else cost.latency.to_json(),
            unstable_reasons=cost.unstable_reasons,
            unknown_reasons=cost.unknown_reasons,
            error=cost.error,
            seconds=time.monotonic() - started,
        )

    def _judged(self, network: PlanNetwork) -> RewardFacts:
        """Return what the network retrieves among the validation classes."""
        material = self._material
        both = evaluate_both_ways(network, material.image_set, SPLIT, material.gallery_rows)
        return RewardFacts(
            homogeneous=accuracy_of(both.homogeneous),
            heterogeneous=accuracy_of(both.heterogeneous),
            metric=material.settings.metric,
        )
