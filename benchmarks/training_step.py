"""How many images a second does a step of training take in, and how far is that from the peak?

The gallery network, the supernet and a pick are trained for a few steps on images that are there
already: by one process of one thread, by one process of a thread for each processor, and by as many
processes. The peak is that of a large product of matrices in one thread, in float32 and in
bfloat16; a step is counted as three forward passes, two operations a MAC. Shares of the peak are of
processor time, that of the first process, which a busy neighbour disturbs less than the wall's.

    python benchmarks/training_step.py
    python benchmarks/training_step.py pick --steps 40 --processes 2 --json

With ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 in the environment torch computes as on a
processor without AVX-512. Measure on a machine that does nothing else: a busy neighbour makes two
threads of one process several times slower than one.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cmpc_cost_models.targets.machine import describe_machine
from cmpc_cost_models.targets.system_calls import allowed_cpus, load_average
from cmpc_search.compatibility.bank import GalleryBank
from cmpc_search.compatibility.base import Method, Step
from cmpc_search.compatibility.making import make_method
from cmpc_search.networks.gallery.base import GalleryNetwork
from cmpc_search.networks.gallery.residual import RESIDUAL_SMALL
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.networks.shared import Supernet
from cmpc_search.space.base import Architecture, Space
from cmpc_search.space.presets.catalogue import load_space
from cmpc_search.training.compute import Compute, here, set_up_torch
from cmpc_search.training.execution import Execution
from cmpc_search.training.gallery_task import GalleryTask
from cmpc_search.training.launch import Order, Work
from cmpc_search.training.loop import train
from cmpc_search.training.processes import serve_one_order, training_together
from cmpc_search.training.query_task import QueryTask, SupernetTask
from cmpc_search.training.settings import GalleryTraining, PickTraining, SupernetTraining, Training
from cmpc_search.training.task import Task

KINDS = ("gallery", "supernet", "pick")
METHOD = "bct+regression"
NUM_IMAGES, NUM_CLASSES = 3600, 1200
WARM_UP_STEPS = 5
PEAK_SIZE = 1024
PASSES, OPERATIONS_OF_A_MAC = 3, 2


@dataclass(frozen=True)
class MadeUpBatches:
    """The same images in each step."""

    training: Training
    num_images: int
    size_px: int
    compute: Compute

    @property
    def num_parts(self) -> int:
        return self.training.micro_batches

    def at(self, number: int, part: int = 0) -> Step:
        count, place = self.num_images // self.num_parts, self.compute.place
        ids = torch.arange(count)
        return Step(
            number=number,
            progress=number / self.training.num_steps,
            views=place(torch.rand(count, 3, self.size_px, self.size_px)),
            item_ids=place(ids),
            labels=place(ids % NUM_CLASSES),
            gallery_embeddings=place(_gallery_rows()[:count]),
        )


def main() -> None:
    if len(sys.argv) == 1 and not sys.stdin.isatty() and "ORDERED" in os.environ:
        serve_one_order(prepare)
        return
    arguments = read_arguments()
    os.environ["ORDERED"] = "1"  # for the processes that this one starts
    folders = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(folders)
    peaks = measured_peaks()
    rows = [
        measured(kind, arguments.steps, threads, processes, peaks)
        for kind in arguments.kinds or KINDS
        for threads, processes in sorted(
            {(1, 1), (arguments.processes, 1), (arguments.processes,) * 2}
        )
    ]
    document = {
        "peak_gflops_of_one_thread": peaks,
        "steps": rows,
        "vector_units": torch.backends.cpu.get_cpu_capability(),
        "limits": {
            name: os.environ.get(name) for name in ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")
        },
        "load_average": load_average(),
        "machine": describe_machine(),
    }
    print(json.dumps(document, indent=2) if arguments.json else told(document))


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kinds", nargs="*", choices=[[], *KINDS], help="all, if none is named")
    parser.add_argument("--steps", type=int, default=25, help="steps of each training")
    parser.add_argument("--processes", type=int, default=len(allowed_cpus()))
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


def measured_peaks() -> dict[str, float]:
    """Return the operations a second of a product of matrices, in thousand millions."""
    kinds = {torch.float32, getattr(torch, set_up_torch(1).precision)}
    return {str(kind).removeprefix("torch."): _peak(kind) for kind in kinds}


def _peak(kind: torch.dtype) -> float:
    one = torch.rand(PEAK_SIZE, PEAK_SIZE).to(kind)
    seconds = min(_timed(lambda: one @ one) for _ in range(3))
    return OPERATIONS_OF_A_MAC * PEAK_SIZE**3 / seconds / 1e9


def _timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def measured(
    kind: str, num_steps: int, threads: int, processes: int, peaks: dict[str, float]
) -> dict[str, Any]:
    """Train ``kind`` for so many steps and return what a step takes."""
    set_up_torch(threads, processes=processes)
    training = _training(kind, num_steps, max(2, processes))
    walls, processor = [], []

    def note(num_done: int, total: int, message: str = "", /) -> None:
        walls.append(time.perf_counter())
        processor.append(time.process_time())

    order = {"kind": kind, "num_steps": num_steps, "parts": training.micro_batches}
    begun = time.perf_counter()
    with training_together("training_step", order, training) as compute:
        started = time.perf_counter() - begun
        learn(kind, training, compute, note)
    counted = len(walls) - WARM_UP_STEPS - 1
    step_s = (walls[-1] - walls[WARM_UP_STEPS]) / counted
    processor_s = (processor[-1] - processor[WARM_UP_STEPS]) / counted
    gflop = _gflop_of_an_image(kind, num_steps) * _num_images(training) / processes
    peak = peaks["bfloat16" if kind == "gallery" and compute.precision == "bfloat16" else "float32"]
    return {
        "kind": kind,
        "processes": processes,
        "threads_of_each": max(1, threads // processes),
        "step_ms": step_s * 1e3,
        "processor_ms": processor_s * 1e3,
        "images_per_second": _num_images(training) / step_s,
        "share_of_peak": gflop / processor_s / peak,
        "start_seconds": started,
    }


def prepare(order: Order) -> Work:
    """Make what another process trains, too."""
    training = _training(order["kind"], order["num_steps"], order["parts"])
    return lambda compute: learn(order["kind"], training, compute)


def learn(
    kind: str, training: Training, compute: Compute, note: Callable[..., None] | None = None
) -> None:
    batches = MadeUpBatches(training, _num_images(training), RESIDUAL_SMALL.input_size_px, compute)
    torch.manual_seed(0)
    train(
        _task(kind, training, compute), batches, training, Execution(compute=compute, progress=note)
    )


def _training(kind: str, num_steps: int, parts: int) -> Training:
    models: dict[str, type[Training]] = {
        "gallery": GalleryTraining,
        "supernet": SupernetTraining,
        "pick": PickTraining,
    }
    return models[kind].model_validate({"num_steps": num_steps, "micro_batches": parts})


def _task(kind: str, training: Training, compute: Compute) -> Task:
    if isinstance(training, GalleryTraining):
        return GalleryTask(GalleryNetwork(RESIDUAL_SMALL), NUM_CLASSES, training, compute)
    if isinstance(training, SupernetTraining):
        return SupernetTask(Supernet(_space()), _method(), training, seed=0)
    return QueryTask(PlanNetwork(_space().plan(_picked())), _method())


def _num_images(training: Training) -> int:
    if isinstance(training, GalleryTraining):
        return 2 * training.classes_per_batch
    assert isinstance(training, SupernetTraining | PickTraining)
    return training.batch_size


def _gflop_of_an_image(kind: str, num_steps: int) -> float:
    if kind == "gallery":
        macs = float(RESIDUAL_SMALL.plan().macs)
    elif kind == "pick":
        macs = float(_space().macs(_picked()))
    else:
        task = _task(kind, _training(kind, num_steps, 2), here())
        assert isinstance(task, SupernetTask)
        macs = sum(_macs_of_a_step(task, number) for number in range(num_steps)) / num_steps
    return macs * PASSES * OPERATIONS_OF_A_MAC / 1e9


def _macs_of_a_step(task: SupernetTask, number: int) -> int:
    return sum(task.network.space.macs(path) for path in task.paths(number))


def _space() -> Space:
    return load_space("small")


def _picked() -> Architecture:
    return _space().sample(random.Random(3))


def _gallery_rows() -> Tensor:
    rows = torch.randn(
        NUM_IMAGES, _space().embedding_dim, generator=torch.Generator().manual_seed(0)
    )
    return functional.normalize(rows)


def _method() -> Method:
    labels = torch.arange(NUM_IMAGES) % NUM_CLASSES
    return make_method(METHOD, GalleryBank(embeddings=_gallery_rows(), labels=labels))


def told(document: dict[str, Any]) -> str:
    """Write a document as lines for people."""
    peaks = document["peak_gflops_of_one_thread"]
    lines = [
        f"{document['machine'].get('cpu_model')}, {document['vector_units']}, load "
        f"{document['load_average']:.1f}; peak of one thread "
        + ", ".join(f"{kind} {gflops:.0f} GFLOP/s" for kind, gflops in peaks.items()),
        "kind      processes  threads  step ms  processor ms  images/s  of peak  start s",
    ]
    lines += [
        f"{row['kind']:9} {row['processes']:9} {row['threads_of_each']:8} {row['step_ms']:8.0f}"
        f" {row['processor_ms']:13.0f} {row['images_per_second']:9.0f}"
        f" {row['share_of_peak']:8.1%} {row['start_seconds']:8.1f}"
        for row in document["steps"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
