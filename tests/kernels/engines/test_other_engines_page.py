"""What docs/other-engines.md shows does what the page says."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from cmpc_kernels import GalleryIndex, IndexSettings, ShardedIndex

PAGE = (Path(__file__).parents[3] / "docs" / "other-engines.md").read_text()


def actor(kind):
    """A class whose objects do at once, and here, what they are asked."""

    class Here(kind):
        @classmethod
        def remote(cls, *arguments):
            made = cls(*arguments)
            made.search = SimpleNamespace(remote=made.search)
            return made

    return Here


def test_the_folders_of_several_machines_are_searched_as_one_index(rng, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(remote=actor, get=list))
    shown = next(code for code in re.findall(r"```python\n(.*?)```", PAGE, re.S) if "ray" in code)
    example = {}
    exec(shown, example)
    rows = rng.integers(-2, 3, (90, 3)).astype(np.float32)  # with many ties
    for number in range(3):
        ShardedIndex.build(
            *(tmp_path / str(number), rows[number * 30 : number * 30 + 30]),
            IndexSettings(metric="l2"),
            rows_per_shard=12,
        )

    searchers = [example["Searcher"].remote(tmp_path / str(number), number) for number in range(3)]
    found = example["search"](searchers, rows[:20], 7, "l2")

    expected = GalleryIndex.build(rows, "l2").search(rows[:20], 7)
    folder, item = np.divmod(found.ids, example["ID_STEP"])
    np.testing.assert_array_equal(folder * 30 + item, expected.ids)
    np.testing.assert_array_equal(found.scores, expected.scores)
