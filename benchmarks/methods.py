"""Which compatibility method keeps most of a gallery network?

    python benchmarks/methods.py galleries/emoji "bct+regression" \
        "csd+regression {csd.temperature = 0.05}" "raml" --steps 600 --seeds 2

Each method, with its settings as in [search.method_settings], trains the same architecture from the
same weights on the same views in the same order. All are judged on validation classes, so that a
default can be chosen without a look at test classes, and compared with the first: same seeds, same
queries.
"""

import argparse
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from cmpc.cli.options import default_cache_dir
from cmpc_search.compatibility.making import MethodOptions, make_method
from cmpc_search.evaluation.outcomes import TOP1
from cmpc_search.evaluation.statistics import Estimate, compare
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.space.base import Architecture
from cmpc_search.stages.judging import Judged, ValidationJudge
from cmpc_search.stages.material import SearchMaterial, load_material
from cmpc_search.stages.searching import with_gallery_data
from cmpc_search.stages.settings import SearchSettings
from cmpc_search.stages.view_banks import make_view_bank
from cmpc_search.study.spread import spread_architectures
from cmpc_search.training.batches import BatchSource
from cmpc_search.training.compute import CPU, set_up_torch
from cmpc_search.training.execution import Execution
from cmpc_search.training.loop import train
from cmpc_search.training.query_task import QueryTask
from cmpc_search.training.recalibration import clean_images, rebuild_batch_norms
from cmpc_search.training.settings import QueryTraining

AVERAGE_PRECISION = 2  # a column of what `Judged.outcomes` returns


def main() -> None:
    """Train and judge each method in turn, and print a line as soon as one is judged."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gallery", type=Path)
    parser.add_argument("methods", nargs="+", metavar="METHOD [{SETTINGS}]")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--views-per-item", type=int, default=1)
    usual = QueryTraining.model_fields["learning_rate"].default
    parser.add_argument("--learning-rate", type=float, default=usual)
    given = parser.parse_args()
    set_up_torch(1)

    settings = with_gallery_data(SearchSettings(), given.gallery)
    material = load_material(settings, given.gallery, cache_dir=default_cache_dir())
    training = QueryTraining(
        num_steps=given.steps,
        views_per_item=given.views_per_item,
        learning_rate=given.learning_rate,
    )
    trial = Trial(material, training)
    print(trial.told, flush=True)
    reference = None
    for method in given.methods:
        started = time.process_time()
        found = [trial.judged(method, seed) for seed in range(given.seeds)]
        reference = reference or found
        seconds = time.process_time() - started
        print(f"{method}: {', '.join(lines(found, reference))}; {seconds:.0f} s", flush=True)


class Trial:
    """One architecture, trained by any method."""

    def __init__(self, material: SearchMaterial, training: QueryTraining) -> None:
        self._material, self._training = material, training
        self._views: BatchSource = make_view_bank(material)
        self._judge = ValidationJudge(material)
        # Neither the cheapest, which learns nothing of any, nor so dear that all methods do.
        self._architecture: Architecture = spread_architectures(material.space, 5)[1]

    @property
    def told(self) -> str:
        macs = self._material.space.macs(self._architecture)
        return f"{self._architecture.key}, {macs / 1e6:.2f} MMAC, {self._training.num_steps} steps"

    def judged(self, told: str, seed: int) -> Judged:
        """Train with the method that ``told`` says, and judge what comes of it."""
        material, training = self._material, self._training
        torch.manual_seed(seed)
        network = PlanNetwork(material.space.plan(self._architecture))
        method = make_method(*read(told, material), views_per_item=training.views_per_item)
        task = QueryTask(network, method)
        batches = self._views.batches(training, seed=seed, compute=CPU)
        train(task, batches, training, Execution(compute=CPU))
        rebuild_batch_norms(network, clean_images(material.images_at(network.plan.image.size_px)))
        return self._judge.judge(network)


def read(told: str, material: SearchMaterial) -> tuple[str, object, MethodOptions]:
    """Return name, bank and settings of "csd {csd.weight = 2}"."""
    name, _, options = told.partition(" ")
    return name, material.gallery_bank, tomllib.loads(f"given = {options or '{}'}")["given"]


def lines(found: list[Judged], reference: list[Judged]) -> Iterator[str]:
    """Yield each number; with its difference from the reference, if that is another, and its 95 %
    interval.
    """
    numbers = {
        "top-1": lambda one: one.outcomes()[:, TOP1],
        "mAP": lambda one: one.outcomes()[:, AVERAGE_PRECISION],
        "cosine": lambda one: one.cosines.astype(np.float64),
    }
    for name, of in numbers.items():
        mine, theirs = (np.stack([of(one) for one in judged]) for judged in (found, reference))
        told = f"{name} {mine.mean():.4f}"
        yield told if found is reference else f"{told} ({difference(compare(mine, theirs))})"


def difference(found: Estimate) -> str:
    return f"{found.value:+.4f}, {found.low:+.4f} to {found.high:+.4f}"


if __name__ == "__main__":
    main()
