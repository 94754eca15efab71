"""Let processes read and change one gallery at once, kill some of them, and say what is left.

    python busy_gallery.py file|folder|folder-without-locks GALLERY SECONDS NUM_WRITERS NUM_READERS

A writer notes what it is about to do and what it has done in a journal of its own, and is killed
with SIGKILL at a random moment; another one takes its place. Readers go on all the time. Prints one
JSON object; `test_processes` says what must stand in it.
"""

import errno
import itertools
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from cmpc_kernels import GalleryIndex, IndexChanged, ShardedIndex, locks, open_index

ROWS_PER_CHANGE, NUM_OWN_CHANGES, MAX_LIFE_S = 3, 3, 0.5
ROWS_PER_SHARD, SHARE_COMPACTED = 8, 0.3


def save(index, path):
    if isinstance(index, GalleryIndex):
        index.save(path)


def changed(path, change):
    """Change the gallery; begin anew where somebody else was faster."""
    while True:
        try:
            index = open_index(path, verify=False)
            found = change(index)
            save(index, path)
            return found
        except IndexChanged:
            continue


def write(path, number, journal):
    """Add three items, or remove three of one's own, and compact, until the kill comes."""
    own, rows = [], np.full((ROWS_PER_CHANGE, 4), number, np.float32)

    def note(**line):
        os.write(journal, json.dumps(line).encode() + b"\n")

    for count in itertools.count():
        if random.random() < SHARE_COMPACTED:
            changed(path, lambda index: index.compact())
        if len(own) < NUM_OWN_CHANGES:
            names = [f"{number}/{count}/{item}" for item in range(ROWS_PER_CHANGE)]
            note(adds=names)
            ids = changed(path, lambda index, names=names: index.add(rows, item_names=names))
            note(ids=ids.tolist())
            own.append(names)
        else:
            names = own.pop(0)
            note(removes=names)
            changed(path, lambda index, names=names: index.remove(index.ids_of(names)))
            note(ids=[])


def read(path, until):
    """Open and search the gallery; what one change added is there whole, or not at all."""
    while time.monotonic() < until:
        index = open_index(path, verify=random.random() < 0.5)
        names, ids = list(index.item_names), index.ids
        changes = [name.rpartition("/")[0] for name in names]
        assert all(changes.count(one) == ROWS_PER_CHANGE for one in set(changes)), changes
        assert (np.diff(ids) > 0).all()
        assert set(index.search(np.ones((1, 4), np.float32), 3).ids[0]) <= {-1, *ids.tolist()}


def started(work, *arguments):
    """Fork a process that does some work, and return its number."""
    process = os.fork()
    if process:
        return process
    try:
        random.seed(os.getpid())
        work(*arguments)
        os._exit(0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)


def run(path, seconds, num_writers, num_readers):
    """Return the journals of all writers, how many were killed, and which exit codes there were."""
    until = time.monotonic() + seconds
    readers = [started(read, path, until) for _ in range(num_readers)]
    journals, writers, codes = [], {}, []
    while time.monotonic() < until:
        while len(writers) < num_writers:
            journals.append(path.with_name(f"journal-{len(journals)}"))
            journal = os.open(journals[-1], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            process = started(write, path, len(journals), journal)
            os.close(journal)
            writers[process] = time.monotonic() + random.random() * MAX_LIFE_S
        for process, death in list(writers.items()):
            if time.monotonic() >= death:
                del writers[process]
                codes.append(killed(process))
        time.sleep(0.005)
    codes += map(killed, writers)
    exits = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in readers]
    return journals, codes, exits


def no_locks(*_, **__):
    raise OSError(errno.ENOTSUP, "no locks here")


def killed(process):
    os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def expected(journals):
    """Return the ids by the names that must be there, and the groups that may be, whole or not."""
    must, may = {}, []
    for journal in journals:
        lines = [json.loads(line) for line in journal.read_text().splitlines()]
        for asked, done in itertools.zip_longest(lines[::2], lines[1::2]):
            names = asked.get("adds") or asked["removes"]
            if done is None:
                may.append(names)
                for name in names:
                    must.pop(name, None)
            elif "adds" in asked:
                must |= dict(zip(names, done["ids"], strict=True))
            else:
                for name in names:
                    del must[name]
    return must, may


def main(kind, gallery, seconds, num_writers, num_readers):
    path, rows = Path(gallery), np.ones((ROWS_PER_CHANGE, 4), np.float32)
    first = [f"0/0/{item}" for item in range(ROWS_PER_CHANGE)]
    if kind == "folder-without-locks":
        locks.lock = no_locks
    if kind == "file":
        GalleryIndex.build(rows, item_names=first).save(path)
    else:
        ShardedIndex.build(path, rows, item_names=first, rows_per_shard=ROWS_PER_SHARD)
    open_index(path).search(rows, 1)  # compiled before it is forked
    journals, codes, exits = run(path, float(seconds), int(num_writers), int(num_readers))
    last = [f"last/0/{item}" for item in range(ROWS_PER_CHANGE)]
    changed(path, lambda index: index.add(rows, item_names=last))

    must, may = expected(journals)
    index = open_index(path)
    found = dict(zip(index.item_names, index.ids.tolist(), strict=True))
    uncertain = {name for names in may for name in names}
    wrong = {name for name, item in must.items() if found.get(name) != item}
    document = {
        "num_killed": codes.count(-signal.SIGKILL),
        "num_died_otherwise": len(codes) - codes.count(-signal.SIGKILL),
        "num_failed_readers": len([code for code in exits if code]),
        "num_kept": len(must),
        "num_doubled": len(index) - len(found),
        "lost_or_renumbered": sorted(wrong),
        "nobodys": sorted(found.keys() - must.keys() - uncertain - {*first, *last}),
        "halves": [names for names in may if 0 < len(found.keys() & set(names)) < len(names)],
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main(*sys.argv[1:])
