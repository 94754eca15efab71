"""Whatever is in a gallery's files, opening it gives a gallery or an error that names the file."""

import contextlib
import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmpc_search.errors import BadGallery
from cmpc_search.gallery import open_gallery
from cmpc_search.gallery.classes import read_classes
from cmpc_search.gallery.networks.torch_network import TorchNetwork

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)
RECORD = {
    "schema_version": 2,
    "network": {
        "name": "tiny",
        "input_size_px": 32,
        "depths": [1, 1],
        "width": 4,
        "embedding_dim": 8,
    },
    "network_sha256": "60",
    "input_size_px": 32,
    "embedding_dim": 8,
    "macs": 1000,
    "parameters": 100,
    "data_sha256": "d0",
    "training": {"data": "emoji", "split_seed": 1},
}
CLASSES = {
    "network_sha256": "60",
    "classes": [{"name": "cat", "key": "1f431", "splits": ["train"]}],
}


def use(folder):
    gallery = open_gallery(folder)
    _ = (gallery.data, gallery.split_seed, gallery.macs, gallery.embedding_dim, gallery.onnx_path)
    if gallery.has_network:
        _ = gallery.input_size_px
    for one in read_classes(folder, network_sha256="60") or ():
        hash((one.name, one.key, one.splits))


def places(tree, above=()):
    yield above
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from places(value, (*above, name))


def use_damaged(folder, name, document, place, value):
    changed = {"": copy.deepcopy(document)}
    branch = changed
    for part in ("", *place)[:-1]:
        branch = branch[part]
    branch[("", *place)[-1]] = value
    (folder / name).write_text(json.dumps(changed[""]))
    use(folder)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "gallery.json").write_text(json.dumps(RECORD))
    (tmp_path / "classes.json").write_text(json.dumps(CLASSES))
    return tmp_path


def test_a_whole_record_is_a_gallery(folder):
    use(folder)


@pytest.mark.parametrize(
    ("name", "document"), [("gallery.json", RECORD), ("classes.json", CLASSES)]
)
@settings(max_examples=40)
@given(data=st.data())
def test_no_damage_to_a_file_is_anything_but_an_error_of_ours(
    tmp_path_factory, name, document, data
):
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    (folder / "gallery.json").write_text(json.dumps(RECORD))
    (folder / "classes.json").write_text(json.dumps(CLASSES))
    place = data.draw(st.sampled_from(list(places(document))))
    with contextlib.suppress(BadGallery):
        use_damaged(folder, name, document, place, data.draw(JSON))


@pytest.mark.parametrize(
    ("name", "document", "place", "value"),
    [
        ("gallery.json", RECORD, ("training",), "x"),
        ("gallery.json", RECORD, ("training", "split_seed"), "k3"),
        ("gallery.json", RECORD, ("embedding_dim",), None),
        ("gallery.json", RECORD, ("input_size_px",), True),
        ("gallery.json", RECORD, ("input_size_px",), 1),
        ("gallery.json", RECORD, ("network",), "torch"),
        ("gallery.json", RECORD, ("network", "depths"), [10**30]),
        ("gallery.json", RECORD, ("network_sha256",), None),
        ("gallery.json", RECORD, ("macs",), []),
        ("classes.json", CLASSES, ("classes",), [{"name": [], "key": "a", "splits": []}]),
        ("classes.json", CLASSES, ("classes",), 3),
        ("classes.json", CLASSES, (), {}),
    ],
)
def test_a_value_of_another_kind_is_refused_by_the_name_of_its_file(
    folder, name, document, place, value
):
    with pytest.raises(BadGallery, match=name):
        use_damaged(folder, name, document, place, value)


def test_weights_of_another_shape_than_the_record_are_refused(gallery):
    path = gallery.path / "gallery.json"
    record = json.loads(path.read_text())
    record["network"]["width"] *= 2
    path.write_text(json.dumps(record))

    shape = open_gallery(gallery.path).record.network
    with pytest.raises(BadGallery, match="must hold the weights of tiny"):
        TorchNetwork(gallery.path / "network.safetensors", shape)
