"""How a search's scores order architectures is told from architectures that are trained once."""

import pytest
import torch

from cmpc_base.json_files import read_json
from cmpc_search.networks.shared import Supernet
from cmpc_search.runs import open_run
from cmpc_search.stages import rank_correlation
from cmpc_search.stages.rank_correlation import (
    JudgedTwice,
    RankCorrelationOrder,
    run_rank_correlation,
    taus_of,
)
from cmpc_search.stages.run_material import place_facts, space_facts
from cmpc_search.stages.supernet import WEIGHTS_FILE
from cmpc_search.study.records import Accuracy
from cmpc_search.study.rewards.base import RewardFacts
from cmpc_search.training.checkpoint import write_weights
from cmpc_search.training.settings import PickTraining


def facts(own, across, cosine=0.5):
    def accuracy(share):
        return Accuracy(
            top1=share, top10=1, mean_average_precision=1 - share, mean_reciprocal_rank=share
        )

    return RewardFacts(
        homogeneous=accuracy(own), heterogeneous=accuracy(across), cosine=cosine, metric="map"
    )


def test_each_reward_in_the_supernet_is_held_against_the_trained_accuracy_across():
    """M(q, q) orders them as the trained M(q, g) does, M(q, g) the other way round."""
    judged = tuple(
        JudgedTwice(
            architecture=str(number),
            macs=number,
            supernet=facts(own=number / 8, across=1 - number / 8, cosine=number % 2),
            trained=facts(own=0.5, across=number / 4),
        )
        for number in range(4)
    )

    taus = {(one.score, one.against): one.tau.value for one in taus_of(judged)}

    assert taus["homogeneous top1", "top1"] == pytest.approx(1)
    assert taus["heterogeneous top1", "top1"] == pytest.approx(-1)
    assert taus["homogeneous top1", "map"] == pytest.approx(-1)  # made the other way round
    assert taus["cosine", "top1"] == pytest.approx(2 / (6 * 4) ** 0.5)  # of 6 pairs 2 are tied


@pytest.fixture
def order(tmp_path, settings, material, gallery_path, cache_dir):
    """An order for three architectures, of a run whose supernet nobody trained."""
    run = open_run(
        tmp_path / "run",
        settings=settings.model_dump(mode="json"),
        inputs=material.hashes() | place_facts(gallery_path) | space_facts(settings),
    )
    torch.manual_seed(0)
    write_weights(run.supernet_path / WEIGHTS_FILE, Supernet(material.space))
    return RankCorrelationOrder(
        run_folder=run.path,
        cache_dir=cache_dir,
        training=PickTraining(num_steps=2, batch_size=4, from_supernet=False),
        num_architectures=3,
    )


def test_architectures_over_the_whole_cost_are_trained_once_and_the_result_is_kept(
    order, material, monkeypatch
):
    found = run_rank_correlation(order)
    monkeypatch.setattr(rank_correlation, "pick_plan", None)
    again = run_rank_correlation(order)

    macs = [one.macs for one in found.architectures]
    smallest, largest = material.space.smallest(), material.space.largest()
    assert macs == sorted(macs)
    assert macs[2] / macs[0] > (material.space.macs(largest) / material.space.macs(smallest)) ** 0.3
    assert all(one.supernet != one.trained for one in found.architectures)
    assert again == found
    assert read_json(order.run_folder / "rank_correlation.json")["taus"] == found.to_json()["taus"]
