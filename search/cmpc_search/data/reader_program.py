"""A process that reads pictures for the one that prepares a data set (``readers``).

It lists the pictures of the same source itself, and writes the rows that it is asked for into the
file that the other made. It ends when its input does, and so with the other.

    in    {source, cache_dir, version, path, reading}         once
          {start, stop}                                       for each chunk of rows
    out   {sha256} of the rows | {error, kind}
"""

import os
from pathlib import Path
from typing import Any

from cmpc_base.errors import CmpcError
from cmpc_cost_models.workers.messages import read_message, write_message
from cmpc_search.data.fetching import Fetcher
from cmpc_search.data.filling import fill_chunk
from cmpc_search.data.reading import Reading
from cmpc_search.data.sources.catalogue import find_source
from cmpc_search.errors import BadData

__all__: list[str] = []


def main() -> None:
    """Answer until the input ends."""
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints must not end up between the messages
    order = read_message(0)
    if order is None:
        return
    source = find_source(order["source"], Fetcher(Path(order["cache_dir"])))
    pictures = source.pictures()
    is_same = source.version() == order["version"]
    path, reading = Path(order["path"]), Reading(**order["reading"])
    while (chunk := read_message(0)) is not None:
        try:
            if not is_same:
                raise BadData(f"{source.name} changed while it was prepared; repeat the command")
            sha256 = fill_chunk(path, reading, pictures, range(chunk["start"], chunk["stop"]))
            write_message(answers, {"sha256": sha256})
        except CmpcError as error:
            write_message(answers, _told(error))


def _told(error: CmpcError) -> dict[str, Any]:
    return {"error": str(error), "kind": type(error).__name__}


if __name__ == "__main__":
    main()
