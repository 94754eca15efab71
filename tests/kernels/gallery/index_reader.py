"""Another reader of index files, made of docs/index-format.md alone: python index_reader.py GOLDEN

It answers the golden queries on every index in the folder GOLDEN and prints what answers.json holds
of them. The standard library is all that it needs; nothing here is fast.
"""

import hashlib
import json
import math
import re
import struct
import sys
from pathlib import Path

LETTERS = {"|u1": "B", "<f2": "e", "<f4": "f", "<i8": "q"}


class Index:
    """One index file: facts, and sections as flat tuples."""

    def __init__(self, path):
        content = path.read_bytes()
        magic, version, length, sha256 = struct.unpack_from("<8sIQ32s", content)
        assert (magic, version) == (b"cmpcgidx", 2)
        header_json = content[52 : 52 + length]
        assert hashlib.sha256(header_json).digest() == sha256
        header, end, self.header_sha256 = json.loads(header_json), 52 + length, sha256.hex()
        start, self.sections = -(-end // 64) * 64, {}
        for entry in header["sections"]:
            at, count = start + entry["offset"], math.prod(entry["shape"])
            form = f"<{count}{LETTERS[entry['dtype']]}"
            section = content[at : at + struct.calcsize(form)]
            assert hashlib.sha256(section).hexdigest() == entry["sha256"]
            assert at % 64 == 0
            assert not any(content[end:at])
            self.sections[entry["name"]] = struct.unpack(form, section)
            end = at + len(section)
        assert end == len(content)
        self.facts, self.settings = header["facts"], header["facts"]["settings"]

    def items(self):
        """Yield position and id of what may be found."""
        count, first = self.facts["num_rows"], self.facts["first_id"]
        ids = self.sections.get("ids", range(first, first + count))
        removed = self.sections.get("is_removed", [0] * count)
        return ((g, ids[g]) for g in range(count) if not removed[g])

    def row(self, g):
        """Return a stored row."""
        dimension = self.facts["dimension"]
        return self.sections["rows"][g * dimension : (g + 1) * dimension]

    def codes(self, g):
        """Return a row's whole numbers, gain and offset; -0.0 adds nothing."""
        dimension, is_int8 = self.facts["dimension"], self.settings["storage"] == "int8"
        width = 4 if is_int8 else 1
        parts, block, lane = 8 // width, g // 16, g % 16
        num_vectors = -(-dimension // (4 * parts))

        def code(plane, d):
            v, part, i = d // (4 * parts), d // 4 % parts, d % 4
            at = ((block * num_vectors + v) * 16 + lane) * 4 + i
            return self.sections[plane][at] >> part * width & 2**width - 1

        numbers = [code("codes.packed", d) for d in range(dimension)]
        if is_int8:
            numbers = [16 * u + code("codes.rests", d) for d, u in enumerate(numbers)]
        gain, offsets = self.sections["codes.gains"][g], self.sections["codes.offsets"]
        return numbers, 0.0 if math.isnan(gain) else gain, offsets[g] if offsets else -0.0


def lane_sum(terms):
    lanes = [0.0] * 8
    for n, term in enumerate(terms):
        lanes[n % 8] += term
    a, b, c, d, e, f, g, h = lanes
    return ((a + e) + (c + g)) + ((b + f) + (d + h))


def product(x, y):
    return lane_sum(a * b for a, b in zip(x, y, strict=True))


def exact_score(q, x, metric):
    """Return a score, larger is nearer; NaN where there is none."""
    if metric == "l2":
        return -lane_sum((a - b) * (a - b) for a, b in zip(q, x, strict=True))
    score, q_square, x_square = product(q, x), product(q, q), product(x, x)
    if metric == "ip" or q_square == 0 or x_square == 0:
        return score
    return score / math.sqrt(q_square) / math.sqrt(x_square)


def search_exact(index, q):
    metric = index.settings["metric"]
    scored = [(exact_score(q, index.row(g), metric), item) for g, item in index.items()]
    return sorted((-score, item) for score, item in scored if score > -math.inf)


def search_codes(index, q):
    """Return the order by codes, with the scores that are told of it."""
    metric, square = index.settings["metric"], 0.0
    for value in q:
        square += value * value
    length = math.sqrt(square) if square >= 0 else math.nan
    if not length < 2.0**100:
        return []
    scale = as_float32(max(max(map(abs, q)) / 127, 2.0**-126))
    v = [min(max(round(value / scale), -127), 127) for value in q]
    middle = 127.5 if index.settings["storage"] == "int8" else 0.5
    found = []
    for g, item in index.items():
        u, gain, offset = index.codes(g)
        whole = sum(a * b for a, b in zip(u, v, strict=True)) - middle * sum(v)
        found.append((-(gain * (scale * whole) + offset), item))
    told = {
        "ip": lambda s: s,
        "cosine": lambda s: s / (length or 1.0),
        "l2": lambda s: -max(length * length - 2 * s, 0.0),
    }[metric]
    return [(-told(-worse), item) for worse, item in sorted(found)]


def as_float32(number):
    try:
        return struct.unpack("<f", struct.pack("<f", number))[0]
    except OverflowError:
        return math.copysign(math.inf, number)


def open_all(path):
    """Return the parts of a gallery, a file or a folder of shards."""
    if path.is_file():
        return [Index(path)]
    found = [re.fullmatch(r"manifest-([1-9]\d*)\.json", file.name) for file in path.iterdir()]
    newest = max((match for match in found if match), key=lambda match: int(match[1]))
    shards = json.loads((path / newest[0]).read_text())["shards"]
    parts = [Index(path / shard["file"]) for shard in shards]
    assert [part.header_sha256 for part in parts] == [shard["header_sha256"] for shard in shards]
    return parts


def answer(parts, query, k):
    """Return ids and bits of scores of the k best."""
    settings = parts[0].settings
    search = search_exact if settings["mode"] == "exact" else search_codes
    found = sorted((pair for part in parts for pair in search(part, query)), key=lambda p: p[0])
    found = (found + [(math.inf, -1)] * k)[:k]
    sign = 1 if settings["metric"] == "l2" else -1
    return [item for _, item in found], [as_float32(sign * worse) for worse, _ in found]


def main(folder):
    golden = json.loads((folder / "answers.json").read_text())
    k, answers = golden["k"], {}
    queries = [struct.unpack(">11f", bytes.fromhex(query)) for query in golden["queries"]]
    for name in golden["answers"]:
        parts = open_all(folder / name)
        found = [answer(parts, query, k) for query in queries]
        answers[name] = {
            "ids": [" ".join(map(str, ids)) for ids, _ in found],
            "scores": [struct.pack(f">{k}f", *scores).hex(" ", 4) for _, scores in found],
        }
    print(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
