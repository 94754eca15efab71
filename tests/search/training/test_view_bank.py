"""The bank of views: what is in it, and in which order it is drawn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cmpc_search.compatibility.base import NO_LABEL
from cmpc_search.testing.batches import BatchSourceContract
from cmpc_search.training.execution import Execution
from cmpc_search.training.settings import QueryTraining
from cmpc_search.training.view_bank import (
    ViewBank,
    ViewSettings,
    make_views,
    read_views,
    write_views,
)

NUM_VIEWS, BATCH_SIZE = 24, 8


@pytest.fixture(scope="module")
def bank():
    """Views whose every part tells their number."""
    numbers = torch.arange(NUM_VIEWS)
    return ViewBank(
        views=numbers.to(torch.uint8)[:, None, None, None].expand(-1, 2, 2, 3).contiguous(),
        item_ids=numbers + 50,
        labels=numbers + 100,
        gallery_embeddings=(numbers[:, None] / 2).half(),
    )


class TestViewBank(BatchSourceContract):
    @pytest.fixture
    def source(self, bank):
        return bank


def batches_of(bank, *, batch_size=BATCH_SIZE, seed=5, num_steps=30):
    return bank.batches(
        QueryTraining(num_steps=num_steps, batch_size=batch_size, micro_batches=1), seed=seed
    )


def numbers_of(step):
    numbers = (step.views[:, 0, 0, 0] * 255).round().long()
    assert step.item_ids.equal(numbers + 50)
    assert step.labels.equal(numbers + 100)
    assert step.gallery_embeddings.equal(numbers[:, None] / 2)
    return numbers.tolist()


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_an_epoch_draws_every_view_once_with_its_label_and_target(bank, epoch):
    steps = range(3 * epoch, 3 * epoch + 3)
    batches = batches_of(bank)

    drawn = [one for step in steps for one in numbers_of(batches.at(step))]

    assert sorted(drawn) == [*range(NUM_VIEWS)]


def test_a_bank_smaller_than_a_batch_is_drawn_whole(bank):
    assert sorted(numbers_of(batches_of(bank, batch_size=100).at(3))) == [*range(NUM_VIEWS)]


def test_an_order_of_millions_of_views_is_drawn_once_an_epoch(bank, monkeypatch):
    batches, draw, drawn = batches_of(bank), np.random.default_rng, []

    def note(seed):
        drawn.append(seed)
        return draw(seed)

    monkeypatch.setattr(np.random, "default_rng", note)
    for step in range(7):
        batches.at(step)

    assert drawn == [(5, 0), (5, 1), (5, 2)]


def test_a_bank_without_labels_is_kept_and_drawn_without_them(bank, tmp_path):
    write_views(tmp_path / "bank", replace(bank, labels=None))

    step = batches_of(read_views(tmp_path / "bank")).at(0)

    assert step.labels is None
    assert len(step.views) == len(step.item_ids) == len(step.gallery_embeddings) == BATCH_SIZE


# Half the images are blank paper, half are inked all over.
PAPER = np.full((20, 8, 8, 3), 255, np.uint8)
PAPER[10:] = 40
LABELS = torch.arange(20) * 3


def views_of(share, *, seed=0, size_px=4):
    """Make views with an `embed` that answers with the position of the image it was told of."""

    def embed(views, shown):
        assert views.shape == (len(shown), 8, 8, 3)
        assert views.dtype == np.uint8
        return np.eye(20, dtype=np.float32)[shown]

    settings = ViewSettings(views_per_image=20, mixed_share=share, size_px=size_px, seed=seed)
    return make_views(PAPER, LABELS, embed, settings, Execution())


def test_every_image_gets_its_views_each_with_its_label_and_target():
    bank = views_of(0.0)

    assert bank.views.shape == (400, 4, 4, 3)
    assert bank.gallery_embeddings.dtype == torch.float16
    assert bank.gallery_embeddings.sum(dim=0).tolist() == [20] * 20
    assert bank.item_ids.equal(bank.gallery_embeddings.argmax(dim=1))
    assert bank.labels.equal(LABELS[bank.item_ids])


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.3, 90, 150), (1.0, 400, 400)])
def test_the_asked_share_of_views_is_mixed_and_has_no_label(share, least, most):
    assert least <= int((views_of(share).labels == NO_LABEL).sum()) <= most


def test_only_views_without_a_label_show_another_image():
    bank = views_of(0.5, size_px=8)
    is_paper = bank.gallery_embeddings.argmax(dim=1) < 10
    has_ink = (bank.views < 255).flatten(1).any(dim=1)
    is_mixed = bank.labels == NO_LABEL

    assert not (is_paper & ~is_mixed & has_ink).any()
    # About half of the partners of mixed paper are inked; the pasted part is no whole view.
    inked = bank.views[is_paper & is_mixed & has_ink]
    assert 0.3 < len(inked) / int((is_paper & is_mixed).sum()) < 0.7
    assert ((inked == 255).flatten(1).any(dim=1)).float().mean() > 0.9


def test_views_are_a_function_of_the_seed():
    first, same, other = views_of(0.5, seed=1), views_of(0.5, seed=1), views_of(0.5, seed=2)

    assert first.views.equal(same.views)
    assert first.labels.equal(same.labels)
    assert not first.views.equal(other.views)


def test_progress_counts_the_views():
    told = []
    settings = ViewSettings(views_per_image=20, mixed_share=0.0, size_px=8, seed=0)

    make_views(
        PAPER,
        None,
        lambda views, shown: np.zeros((len(shown), 2), np.float32),
        settings,
        Execution(progress=lambda done, total: told.append((done, total))),
    )

    assert told == [(256, 400), (400, 400)]
