"""Run `cmpc index` as its tests do, on embeddings that they write."""

import json

import numpy as np
from click.testing import CliRunner

from cmpc.cli import command_line
from cmpc_search.embeddings import Embeddings, write_embeddings


def write_items(path, names):
    rows = np.random.default_rng(len(names)).standard_normal((len(names), 16)).astype(np.float32)
    write_embeddings(path, Embeddings(rows=rows, item_names=tuple(names)))
    return path


def invoke(*arguments):
    return CliRunner().invoke(command_line, ["index", *map(str, arguments)])


def document(*arguments):
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)
