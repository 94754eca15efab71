"""What would be read as something else is refused at every public door."""

import numpy as np
import pytest

from cmpc_kernels import (
    BadArgument,
    GalleryIndex,
    IgnoredPairs,
    ShardedIndex,
    rank_right_items,
    retrieval_scores,
    tar_at_far,
    topk,
    tpir_at_fpir,
    verification_rates,
)

ROWS = np.eye(4, dtype=np.float32)
LABELS = np.arange(4)
HIDING = np.arange(4) == 2

DOORS = {
    "topk queries": lambda values: topk(values(ROWS), ROWS, 1),
    "topk gallery": lambda values: topk(ROWS, values(ROWS), 1),
    "build rows": lambda values: GalleryIndex.build(values(ROWS)),
    "build stream": lambda values: GalleryIndex.build([values(ROWS)]),
    "build labels": lambda values: GalleryIndex.build(ROWS, labels=values(LABELS)),
    "build ids": lambda values: GalleryIndex.build(ROWS, labels=LABELS).labels_of(values(LABELS)),
    "search queries": lambda values: GalleryIndex.build(ROWS).search(values(ROWS), 1),
    "search allow": lambda values: GalleryIndex.build(ROWS).search(ROWS, 1, allow=values(LABELS)),
    "search mask": lambda values: GalleryIndex.build(ROWS).search(ROWS, 1, allow=values(~HIDING)),
    "remove": lambda values: GalleryIndex.build(ROWS).remove(values(LABELS)),
    "FAISS rows": lambda values: GalleryIndex.build(values(ROWS), mode="hnsw"),
    "scores": lambda values: retrieval_scores(ROWS, ROWS, values(LABELS), LABELS),
    "own items": lambda values: retrieval_scores(
        *(ROWS, ROWS, LABELS // 2, LABELS // 2), ignored=IgnoredPairs(own_items=values(LABELS))
    ),
    "ranks": lambda values: rank_right_items(ROWS, ROWS, LABELS, values(LABELS)),
    "rates": lambda values: verification_rates(
        ROWS, ROWS, values(LABELS), LABELS, false_accept_rates=[0.5]
    ),
    "pairs": lambda values: tar_at_far(values(np.arange(4.0)), ~HIDING, 0.5),
    "genuine": lambda values: tar_at_far(np.arange(4.0), values(~HIDING), 0.5),
    "identities": lambda values: tpir_at_fpir(
        ROWS, ROWS[:2], values(LABELS), LABELS[:2], false_positive_rate=0.5
    ),
}


def masked(values):
    """An array whose third value, or row, is hidden."""
    return np.ma.masked_array(
        values, np.broadcast_to(HIDING.reshape(4, *[1] * (values.ndim - 1)), values.shape)
    )


@pytest.mark.parametrize("door", DOORS)
def test_values_under_a_mask_are_refused_and_not_used(door):
    with pytest.raises(BadArgument, match="must be plain values, got an array that masks some"):
        DOORS[door](masked)


def test_shards_refuse_what_is_masked_too(tmp_path):
    for number, arguments in enumerate(({"labels": masked(LABELS)}, {})):
        rows = ROWS if arguments else masked(ROWS)
        with pytest.raises(BadArgument, match="masks some"):
            ShardedIndex.build(tmp_path / str(number), rows, **arguments)


@pytest.mark.parametrize("door", DOORS)
def test_a_mask_that_hides_nothing_is_no_mask(door):
    DOORS[door](np.ma.masked_array)


@pytest.mark.parametrize("largest", [2**63, 2**64 - 1])
def test_labels_that_int64_can_not_hold_are_refused(largest):
    labels = np.array([0, 1, 2, largest], np.uint64)

    for use in (
        lambda: GalleryIndex.build(ROWS, labels=labels),
        lambda: retrieval_scores(ROWS, ROWS, labels, labels),
    ):
        with pytest.raises(BadArgument, match=rf"below 2\*\*63, got {largest}"):
            use()


def test_labels_of_every_integer_type_that_fit_are_taken():
    for dtype in (np.uint8, np.uint64, np.int16):
        assert GalleryIndex.build(ROWS, labels=LABELS.astype(dtype)).labels.tolist() == [0, 1, 2, 3]
    largest = np.array([0, 1, 2, 2**63 - 1], np.uint64)
    assert GalleryIndex.build(ROWS, labels=largest).labels[3] == 2**63 - 1


def test_an_id_named_twice_is_removed_once_and_one_that_is_gone_is_refused(tmp_path):
    for index in (GalleryIndex.build(ROWS), ShardedIndex.build(tmp_path / "shards", ROWS)):
        index.remove([1, 1])
        assert index.ids.tolist() == [0, 2, 3]
        with pytest.raises(BadArgument, match="1 that are not, first 1"):
            index.remove([1])
