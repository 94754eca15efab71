"""The bank of views: what is in it, in which order it is drawn, and that a kill costs nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cmpc_search.compatibility.base import NO_LABEL
from cmpc_search.errors import BadArgument
from cmpc_search.testing.batches import BatchSourceContract
from cmpc_search.testing.views import STILL, bank_of
from cmpc_search.training.augmentation.drawing import Drawing
from cmpc_search.training.embedding_rows import DamagedRows, EmbeddingRows
from cmpc_search.training.execution import Execution
from cmpc_search.training.mixing import Mixing
from cmpc_search.training.settings import QueryTraining
from cmpc_search.training.view_bank import ViewBank, embed_views, repeat_rows
from cmpc_search.training.view_memory import ViewMemory
from cmpc_search.training.views import Pictures, Rows, ViewMaker, ViewRecipe

NUM_VIEWS, BATCH_SIZE = 24, 8


@pytest.fixture(scope="module")
def bank():
    """Views whose every part tells their number."""
    numbers = torch.arange(NUM_VIEWS)
    pixels = numbers.to(torch.uint8)[:, None, None, None].expand(-1, 2, 2, 3).contiguous()
    return bank_of(pixels, numbers[:, None] / 2, numbers + 100)


class TestViewBank(BatchSourceContract):
    @pytest.fixture
    def source(self, bank):
        return bank


def batches_of(bank, *, seed=5, num_steps=30, **settings):
    training = QueryTraining(num_steps=num_steps, **{"batch_size": BATCH_SIZE, **settings})
    return bank.batches(training.model_copy(update={"micro_batches": 1}), seed=seed)


def numbers_of(step):
    numbers = (step.views[:, 0, 0, 0] * 255).round().long()
    assert step.item_ids.equal(numbers)
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

    assert drawn[:3] == [(5, 0), (5, 1), (5, 2)]
    assert len(set(drawn)) == len(drawn) <= 4  # steps may be begun ahead


def test_a_bank_without_labels_is_drawn_without_them(bank):
    step = batches_of(replace(bank, labels=None)).at(0)

    assert step.labels is None
    assert len(step.views) == len(step.item_ids) == len(step.gallery_embeddings) == BATCH_SIZE


# Half the images are blank paper, half are inked all over.
PAPER = np.full((20, 8, 8, 3), 255, np.uint8)
PAPER[10:] = 40
LABELS = torch.arange(20) * 3
VIEWS_PER_IMAGE = 20


def maker_of(share=0.0, *, seed=0, size_px=8, augmentation=STILL, images=PAPER, styles=()):
    sources = tuple(Rows((one,)) for one in (images, *styles))
    pictures = Pictures(sources=sources, positions=np.arange(len(images)))
    mixing = Mixing(share=share, max_patches=3, blended_share=0.3)
    return ViewMaker(
        pictures, ViewRecipe(augmentation=augmentation, mixing=mixing, seed=seed), size_px
    )


def told(views, shown):
    """An embedding that tells of which image it was told."""
    assert views.dtype == np.uint8
    assert views.shape == (len(shown), 8, 8, 3)
    return np.eye(20, dtype=np.float32)[shown]


def rows_in(folder, batch_size=256):
    shape = (20 * VIEWS_PER_IMAGE, 20)
    return EmbeddingRows(folder / "rows.npy", shape, batch_size=batch_size)


def embedded(folder, maker, *, limit_bytes=0):
    rows = rows_in(folder)
    embed_views(rows, maker, told, Execution())
    memory = ViewMemory(len(rows), maker.size_px, limit_bytes)
    return ViewBank(maker=maker, gallery_embeddings=rows.read(), labels=LABELS, memory=memory)


def test_every_image_gets_its_views_each_with_its_label_and_target(tmp_path):
    bank = embedded(tmp_path, maker_of())

    numbers = torch.arange(len(bank))
    embeddings = np.load(tmp_path / "rows.npy")  # the file is NumPy's own
    assert embeddings.dtype == np.float16
    assert embeddings.sum(axis=0).tolist() == [VIEWS_PER_IMAGE] * 20
    assert bank.item_ids(numbers).tolist() == embeddings.argmax(axis=1).tolist()
    assert bank.labels_of(numbers).equal(LABELS[embeddings.argmax(axis=1)])


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.3, 90, 150), (1.0, 400, 400)])
def test_the_asked_share_of_views_is_mixed_and_has_no_label(tmp_path, share, least, most):
    bank = embedded(tmp_path, maker_of(share))

    assert least <= int((bank.labels_of(torch.arange(400)) == NO_LABEL).sum()) <= most


def test_only_views_without_a_label_show_another_image(tmp_path):
    numbers = torch.arange(400)
    bank = embedded(tmp_path, maker_of(0.5))
    views = bank.views(numbers)
    is_paper = bank.item_ids(numbers) < 10
    has_ink = (views < 255).flatten(1).any(dim=1)
    is_mixed = bank.labels_of(numbers) == NO_LABEL

    assert not (is_paper & ~is_mixed & has_ink).any()
    # About half of the partners of mixed paper are inked; the pasted part is no whole view.
    inked = views[is_paper & is_mixed & has_ink]
    assert 0.3 < len(inked) / int((is_paper & is_mixed).sum()) < 0.7
    is_blended = ((inked > 40) & (inked < 255)).flatten(1).any(dim=1)
    assert 0.15 < is_blended.float().mean() < 0.5
    assert (inked[~is_blended] == 255).flatten(1).any(dim=1).float().mean() > 0.9


def test_a_view_is_made_again_to_the_last_bit_in_any_company():
    noise = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), np.uint8)
    maker = maker_of(0.5, images=noise, augmentation=Drawing(max_bend=0.02, hue_share=0.5))
    numbers = torch.arange(400)
    all_views = maker.make(numbers % 20, numbers)

    for chosen in ([7], [399, 0, 12], [*range(100, 137)]):
        some = torch.tensor(chosen)
        assert maker.make(some % 20, some).equal(all_views[chosen])
    other = replace(maker, recipe=replace(maker.recipe, seed=1))
    assert not other.make(numbers % 20, numbers).equal(all_views)


def test_a_share_of_views_is_in_each_style():
    styles = [np.full_like(PAPER, value) for value in (80, 90)]
    still = STILL.model_copy(update={"style_share": 0.6})
    numbers = torch.arange(1000)

    views = maker_of(augmentation=still, styles=styles).make(numbers % 20, numbers)

    pixels = views[:, 0, 0, 0]
    assert [0.25 < (pixels == value).float().mean() < 0.35 for value in (80, 90)] == [True, True]


@pytest.mark.parametrize("num_threads", [1, 3])
@pytest.mark.parametrize("limit_bytes", [0, 100 * 8 * 8 * 3, 10**6])
def test_memory_and_threads_change_no_step(tmp_path, limit_bytes, num_threads, monkeypatch):
    monkeypatch.setattr("cmpc_search.training.ahead.spare_threads", lambda: num_threads - 1)
    noise = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), np.uint8)
    maker = maker_of(0.5, images=noise, augmentation=Drawing())
    bank = embedded(tmp_path, maker, limit_bytes=limit_bytes)
    batches = batches_of(bank, batch_size=100)

    for number in range(12):  # three epochs
        step = batches.at(number)
        rows = step.gallery_embeddings.argmax(dim=1)
        assert rows.equal(step.item_ids)
        chosen = torch.from_numpy(batches._order.at(number))
        expected = maker.make(chosen % 20, chosen).permute(0, 3, 1, 2).float() / 255
        torch.testing.assert_close(step.views, expected, atol=1e-6, rtol=0)


def test_views_that_stay_in_memory_are_made_once():
    memory, asked = ViewMemory(10, 2, limit_bytes=6 * 12), []

    def make(numbers):
        asked.append(numbers.tolist())
        return numbers.to(torch.uint8)[:, None, None, None].expand(-1, 2, 2, 3)

    for wanted in ([7, 2, 5], [5, 7, 4], [2, 4, 5]):
        views = memory.get(torch.tensor(wanted), make)
        assert views[:, 0, 0, 0].tolist() == wanted

    assert asked == [[7, 2, 5], [7, 4]]


def test_several_views_of_an_image_come_together_and_none_twice(tmp_path):
    bank = embedded(tmp_path, maker_of())
    batches = batches_of(bank, batch_size=12, views_per_item=3)

    steps = [batches.at(number) for number in range(30)]  # 18 of 20 views: six groups an image
    for step in steps:
        groups = step.item_ids.view(4, 3)
        assert (groups == groups[:, :1]).all()
    drawn = torch.cat([torch.from_numpy(batches._order.at(number)) for number in range(30)])
    assert sorted(drawn.tolist()) == [*range(120)]
    with pytest.raises(BadArgument, match=r"at most the 20 views .* got 21"):
        batches_of(bank, views_per_item=21)


def test_embedding_goes_on_where_a_kill_stopped_it(tmp_path):
    maker = maker_of(0.5)
    whole = embedded(tmp_path, maker).gallery_embeddings.copy()
    path = tmp_path / "rows.npy"
    kept = path.read_bytes()
    path.unlink()  # it is mapped
    path.write_bytes(kept[: 128 + 300 * 40 + 7])  # a batch of 256, and some of the next

    embedded_anew = []
    rows = rows_in(tmp_path)
    embed_views(
        rows,
        maker,
        lambda views, shown: embedded_anew.extend(shown) or told(views, shown),
        Execution(progress=lambda done, total: embedded_anew.append((done, total))),
    )

    assert embedded_anew == [*(np.arange(256, 400) % 20), (400, 400)]
    assert (rows.read() == whole).all()
    assert path.read_bytes() == kept


def test_batches_are_made_and_embedded_side_by_side_a_thread_each(tmp_path):
    before, threads = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        embed_views(
            rows_in(tmp_path),
            maker_of(),
            lambda views, shown: threads.append(torch.get_num_threads()) or told(views, shown),
            Execution(),
        )
    finally:
        torch.set_num_threads(before)

    assert threads == [1, 1]  # of two batches; that of 256 views and the rest
    assert (np.load(tmp_path / "rows.npy").argmax(axis=1) == np.arange(400) % 20).all()


def test_rows_of_ready_embeddings_are_repeated_for_every_view(tmp_path):
    rows = rows_in(tmp_path, batch_size=256)

    repeat_rows(rows, np.eye(20, dtype=np.float32))

    assert (rows.read() == np.tile(np.eye(20), (VIEWS_PER_IMAGE, 1))).all()


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"no array at all",
        lambda whole: whole[:-2000] + bytes(2000),
        lambda whole: whole[:2000] + bytes(4000) + whole[6000:],
        lambda whole: whole.replace(b"(400, 20)", b"(401, 20)"),
    ],
    ids=["other file", "lost end", "lost block", "other shape"],
)
def test_a_damaged_file_is_told(tmp_path, damage):
    rows = rows_in(tmp_path)
    repeat_rows(rows, np.eye(20, dtype=np.float32))
    path = tmp_path / "rows.npy"
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(DamagedRows, match=r"rows\.npy must"):
        rows_in(tmp_path)


@pytest.mark.parametrize("views_per_item", [1, 2])
def test_the_last_steps_show_no_view_of_two_images_and_resume_alike(bank, views_per_item):
    numbers = torch.arange(3 * NUM_VIEWS)
    maker = replace(bank.maker, recipe=replace(bank.maker.recipe, mixing=Mixing(share=0.4)))
    mixed = replace(bank, maker=maker, gallery_embeddings=np.ones((len(numbers), 1), np.float16))
    options = {"views_per_item": views_per_item, "unmixed_share": 0.3, "num_steps": 10}

    steps = [batches_of(mixed, **options).at(number) for number in range(10)]

    assert maker.is_mixed(numbers).any()
    shows_two = [bool((step.labels == NO_LABEL).any()) for step in steps]
    assert shows_two[-3:] == [False] * 3
    assert any(shows_two[:7])
    assert {len(step.labels) for step in steps} == {BATCH_SIZE}


def test_where_all_views_show_two_images_the_last_steps_do_too(bank):
    maker = replace(bank.maker, recipe=replace(bank.maker.recipe, mixing=Mixing(share=1.0)))

    step = batches_of(replace(bank, maker=maker), num_steps=2, unmixed_share=1.0).at(1)

    assert len(step.labels) == BATCH_SIZE
    assert (step.labels == NO_LABEL).all()
