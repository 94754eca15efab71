"""Each of these jobs is done in cmpc_base, and nowhere else."""

import re
from pathlib import Path

import pytest

import cmpc
import cmpc_cost_models
import cmpc_kernels
import cmpc_search

ELSEWHERE = [
    path
    for module in (cmpc, cmpc_search, cmpc_cost_models, cmpc_kernels)
    for path in Path(module.__file__).parent.rglob("*.py")
]


@pytest.mark.parametrize(
    "pattern",
    [
        r"mkstemp|\.tmp\b|os\.fsync",
        r"mkdtemp|os\.rename|TemporaryDirectory\(.*dir=",
        r"import fcntl",
        r"get_close_matches",
        r"file_digest|sha256\(json\.dumps",
        r"json\.loads?\(.*read_text|json\.dump\(",
    ],
    ids=[
        "replace a file",
        "make a folder whole",
        "lock a file",
        "find the nearest name",
        "hash a file or a document",
        "read and write JSON files",
    ],
)
def test_there_is_one_place_to(pattern):
    assert ELSEWHERE
    others = [str(path) for path in ELSEWHERE if re.search(pattern, path.read_text(), re.MULTILINE)]

    assert others == []
