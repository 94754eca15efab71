"""Write the golden index files, their queries and their answers: python make.py FOLDER

Rows and queries are awkward on purpose: sums that depend on their order, ties, pairs that float32
can't tell apart, zero, tiny and huge rows, queries that are not finite. Float32 numbers are told by
their bits, eight hexadecimal digits, so that readers in any language compare them exactly.
"""

import json
import sys
from pathlib import Path

import numpy as np

from cmpc_kernels import GalleryIndex, IndexSettings, ShardedIndex, open_index

DIMENSION = 11  # eight lanes and a rest
NUM_ROWS = 22  # a block of codes and a rest
NUM_FOUND = 20  # more than there are when some are removed
REMOVED = [3, 40, 47]
IDS = [*range(9), *range(40, 53)]
NAMES = [f"item {n}" for n in range(NUM_ROWS - 2)] + ["", "ünï/\udcff"]
SINGLE_FILES = [
    ("exact", "float32", "ip"),
    ("exact", "float32", "cosine"),
    ("exact", "float32", "l2"),
    ("exact", "float16", "ip"),
    ("exact", "float16", "cosine"),
    ("exact", "float16", "l2"),
    ("codes", "int8", "l2"),
    ("codes", "binary", "cosine"),
]


def rows_of(largest):
    """Return float32 [22, 11] with zero rows, ties, near ties, and values up to the largest."""
    rng = np.random.default_rng(17)
    row_GD = rng.standard_normal((NUM_ROWS, DIMENSION)).astype(np.float32)
    row_GD[1] = row_GD[10] = 0
    row_GD[2] = row_GD[17] = row_GD[0]  # equal scores under every metric
    row_GD[4], row_GD[11] = row_GD[0] * 2, row_GD[0] / 4  # equal cosines
    row_GD[5], row_GD[13] = row_GD[6], row_GD[6]
    row_GD[13, 0] = np.nextafter(row_GD[6, 0], np.float32(9))  # better or worse by one bit
    row_GD[12] = 1 / 3  # codes hold it exactly
    row_GD[7] *= np.float32(largest) / np.abs(row_GD[7]).max()
    row_GD[8] = -row_GD[7]
    row_GD[9] = np.float32(6e-8) * np.sign(row_GD[9])  # the smallest that float16 holds
    row_GD[14] = np.float32(1e-45) * np.sign(row_GD[14])
    row_GD[15] = np.ldexp(row_GD[15], rng.integers(-10, 11, DIMENSION))
    for g in (16, 18, 19, 20, 21):  # the order of such a sum decides its last bits
        row_GD[g] = rng.permutation(row_GD[15])
    return np.clip(row_GD, -largest, largest)


def queries():
    """Return float32 [13, 11]: near rows, and whatever a query can be."""
    rng = np.random.default_rng(8)
    query_QD = rng.standard_normal((13, DIMENSION)).astype(np.float32)
    query_QD[0], query_QD[9] = rows_of(9)[[0, 6]]
    for n, value in {1: 1 / 3, 10: -0.7, 11: 5.1, 12: 63.3}.items():
        query_QD[n] = value  # as near to each permutation of a row, but for rounding
    query_QD[2] *= 3e37
    query_QD[3] = 1e-45
    query_QD[4] = 0
    query_QD[5, 3] = np.nan
    query_QD[6, 0] = np.inf
    query_QD[7, ::3] *= -2000
    query_QD[8] *= 1e-20
    return query_QD


def write_files(folder):
    """Write each kind of file that there is, and a gallery of shards in its third generation."""
    for mode, storage, metric in SINGLE_FILES:
        settings = IndexSettings(
            metric=metric,
            mode=mode,
            storage=storage,
            network_sha256="5e" * 32 if mode == "exact" else None,
        )
        parts = {"ids": IDS} if storage != "float16" else {"first_id": 40}
        if metric != "ip":
            parts |= {"item_names": NAMES, "labels": range(-5, NUM_ROWS - 5)}
        rows = rows_of(65504 if storage == "float16" else 1e30 if mode == "codes" else 3e38)
        index = GalleryIndex.build_with(settings, rows, **parts)
        if metric != "cosine":
            index.remove(np.intersect1d(REMOVED, index.ids))
        index.save(folder / f"{metric}-{storage}.index")
    shards = ShardedIndex.build(
        folder / "l2-shards", rows_of(3e38), IndexSettings(metric="l2"), rows_per_shard=10
    )
    shards.remove([3])
    shards.add(rows_of(3e38)[:2])


def bits(numbers):
    """Return float32 numbers as hexadecimal digits, row by row."""
    return [
        " ".join(f"{number:08x}" for number in row)
        for row in np.asarray(numbers, np.float32).view(np.uint32).tolist()
    ]


def write_answers(folder):
    """Write queries and answers, one query a line."""
    answers = {"k": NUM_FOUND, "queries": bits(queries()), "answers": {}}
    for path in sorted(folder.iterdir()):
        if path.is_dir() or path.suffix == ".index":
            found = open_index(path).search(queries(), NUM_FOUND)
            ids = [" ".join(map(str, row)) for row in found.ids.tolist()]
            answers["answers"][path.name] = {"ids": ids, "scores": bits(found.scores)}
    text = json.dumps(answers, indent=1)
    (folder / "answers.json").write_text(text + "\n", encoding="utf-8")


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    write_files(folder)
    write_answers(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
