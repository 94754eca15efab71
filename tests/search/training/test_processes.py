"""Two processes that share each batch train the network that one process trains."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

SCRIPT = """
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import distributed, nn

from cmpc_search.compatibility.bank import GalleryBank
from cmpc_search.compatibility.making import make_method
from cmpc_search.training.compute import Compute
from cmpc_search.training.execution import Execution
from cmpc_search.training.loop import train
from cmpc_search.training.query_task import QueryTask
from cmpc_search.training.settings import QueryTraining
from cmpc_search.training.view_bank import ViewBank

folder, rank, world = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
if world > 1:
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world
    )
compute = Compute(rank=rank, world=world)
torch.manual_seed(0)
seen = nn.functional.normalize(torch.randn(32, 3))
bank = ViewBank(
    views=torch.randint(0, 256, (32, 2, 2, 3), dtype=torch.uint8),
    item_ids=torch.arange(32),
    labels=None,
    gallery_embeddings=seen.half(),
)
network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
method = make_method("regression", GalleryBank(embeddings=seen, labels=None))
training = QueryTraining(num_steps=6, batch_size=8, micro_batches=4)
execution = Execution(
    compute=compute,
    checkpoint=folder / f"checkpoint-{world}",
    checkpoint_steps=3,
    progress=lambda done, _: print(done),
)
batches = bank.batches(training, seed=0, compute=compute)
train(QueryTask(network, method), batches, training, execution)
save_file(network.state_dict(), folder / f"weights-{world}-{rank}")
"""


def begin(folder, rank, world):
    command = [sys.executable, "-c", SCRIPT, str(folder), str(rank), str(world)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_processes_train_together_what_one_trains_alone_and_the_first_tells(tmp_path):
    running = [begin(tmp_path, rank, world) for rank, world in ((0, 1), (0, 2), (1, 2))]
    told = [process.communicate(timeout=120)[0].split() for process in running]

    assert [process.returncode for process in running] == [0, 0, 0]
    assert told == [["1", "2", "3", "4", "5", "6"]] * 2 + [[]]
    alone, first, second = (
        load_file(tmp_path / f"weights-{name}") for name in ("1-0", "2-0", "2-1")
    )
    for name, weight in alone.items():
        torch.testing.assert_close(first[name], weight, rtol=1e-4, atol=1e-5)
        assert second[name].equal(first[name])
    assert (tmp_path / "checkpoint-2").exists()
