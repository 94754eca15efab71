"""Score one candidate: how well it retrieves on validation classes, and what it costs.

architecture --> slice of the supernet --> batch norms rebuilt --> judged --> M(q,q), M(q,g), cosine
                          \\--> ONNX --> compiled, checked, timed or predicted --> latency
"""

import time
from pathlib import Path

from cmpc_cost_models.models.base import CostModel
from cmpc_search.networks.onnx_export import export_network
from cmpc_search.networks.shared import Supernet
from cmpc_search.space.base import Architecture
from cmpc_search.stages.costs import network_cost
from cmpc_search.stages.judging import ValidationJudge
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.study.records import CandidateScore
from cmpc_search.study.rewards.catalogue import REWARDS
from cmpc_search.training.recalibration import clean_images, rebuild_batch_norms

__all__ = ["CandidateScorer"]


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
        self._judge = ValidationJudge(material)
        self._folder = folder

    def __call__(self, architecture: Architecture) -> CandidateScore:
        """Score ``architecture``; what goes wrong with it comes back as the score's error."""
        started = time.monotonic()
        network = self._supernet.extract(architecture)
        images = clean_images(self._material.images_at(network.plan.image.size_px))
        rebuild_batch_norms(network, images)
        path = self._folder / f"{architecture.key}.onnx"
        export_network(network, path)
        facts = self._judge.facts(network)
        cost = network_cost(path, self._meter)
        settings = self._material.settings
        return CandidateScore(
            architecture=architecture.key,
            homogeneous=facts.homogeneous,
            heterogeneous=facts.heterogeneous,
            cosine=facts.cosine,
            reward_name=settings.reward_name,
            reward=self._reward(facts),
            macs=cost.macs,
            parameters=cost.parameters,
            latency=None if cost.latency is None else cost.latency.to_json(),
            unstable_reasons=cost.unstable_reasons,
            unknown_reasons=cost.unknown_reasons,
            error=cost.error,
            seconds=time.monotonic() - started,
        )
