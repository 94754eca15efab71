"""Score one candidate: how well it retrieves on validation classes, and what it costs.

architecture --> slice of the supernet --> batch norms rebuilt --> embeddings --> M(q,q), M(q,g)
                          \\--> ONNX --> compiled, checked, timed or predicted --> latency
"""

import math
import time
from pathlib import Path

import numpy as np
import torch

from cmpc_cost_models.graphs.counting import count_network
from cmpc_cost_models.models.base import CostModel
from cmpc_search.networks.onnx_export import export_network
from cmpc_search.networks.shared import Supernet
from cmpc_search.pixels import to_float
from cmpc_search.space import Architecture
from cmpc_search.stages.accuracy import accuracy_of, evaluate_both_ways
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.study import CandidateScore
from cmpc_search.study.rewards import REWARDS, RewardFacts
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
        counted = count_network(path)
        both = evaluate_both_ways(
            network, self._material.image_set, SPLIT, self._material.gallery_rows
        )
        settings = self._material.settings
        facts = RewardFacts(
            homogeneous=accuracy_of(both.homogeneous),
            heterogeneous=accuracy_of(both.heterogeneous),
            metric=settings.metric,
        )
        measurement = None if self._meter is None else self._meter.measure(path)
        cost = None if measurement is None else measurement.cost
        return CandidateScore(
            architecture=architecture.key,
            homogeneous=facts.homogeneous,
            heterogeneous=facts.heterogeneous,
            reward_name=f"{settings.reward} {settings.metric}",
            reward=self._reward(facts),
            macs=counted.macs,
            parameters=counted.parameters,
            latency=None if cost is None else cost.to_json(),
            unstable_reasons=() if measurement is None else tuple(measurement.unstable_reasons),
            unknown_reasons=() if measurement is None else measurement.unknown_reasons,
            error=None if measurement is None else measurement.error,
            seconds=time.monotonic() - started,
        )
