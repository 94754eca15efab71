"""A network that a user exported is proved by running it before it is taken in."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from cmpc_cost_models.graphs.counting import count_network
from cmpc_search.errors import BadEmbeddings, BadGallery, SearchError
from cmpc_search.gallery import GallerySources, import_gallery, onnx_file

WEIGHT = np.random.default_rng(0).standard_normal((6, 3, 1, 1)).astype(np.float32)
POOL = [
    helper.make_node("GlobalAveragePool", ["x"], ["p"]),
    helper.make_node("Flatten", ["p"], ["y"]),
]


def save(path, nodes, *, shape=(1, 3, 8, 8), kind=TensorProto.FLOAT, result=("N", "D"), **more):
    """Write a graph from x to y."""
    x = helper.make_tensor_value_info("x", kind, shape)
    y = helper.make_tensor_value_info("y", more.pop("result_kind", TensorProto.FLOAT), result)
    others = [helper.make_tensor_value_info(name, kind, shape) for name in more.pop("others", [])]
    opset = more.pop("opset", 17)
    functions = more.pop("functions", [])
    domains = [helper.make_opsetid("", opset), helper.make_opsetid("mine", 1)]
    graph = helper.make_graph(nodes, "own", [x, *others], [y, *more.pop("outputs", [])], **more)
    model = helper.make_model(graph, opset_imports=domains, functions=functions)
    model.ir_version = 8
    onnx.save(model, path)
    return path


def node(operator, given, result="y", **attributes):
    return helper.make_node(operator, given.split(), result.split(), **attributes)


def constant(name, *values):
    return numpy_helper.from_array(np.array(values, np.float32), name)


MEAN = [node("ReduceMean", "x", axes=[2, 3], keepdims=0)]


@pytest.mark.parametrize("is_with_data", [False, True], ids=["noise", "data"])
@pytest.mark.parametrize(
    ("nodes", "options", "message"),
    [
        (
            MEAN,
            {"kind": TensorProto.DOUBLE, "result_kind": TensorProto.DOUBLE},
            "as float32 or float16, got float64",
        ),
        (
            [node("Cast", "x", "x1", to=1), node("ReduceMean", "x1", axes=[2, 3], keepdims=0)],
            {"kind": TensorProto.UINT8},
            "as float32 or float16, got uint8",
        ),
        (POOL, {"shape": (1, 1, 8, 8)}, r"square RGB .*got \[1, 1, 8, 8\]"),
        (POOL, {"shape": (1, 3, 8, 6)}, r"square RGB .*got \[1, 3, 8, 6\]"),
        (POOL, {"shape": (1, 3, "side", "side")}, r"square RGB .*got \[1, 3, side, side\]"),
        (POOL, {"shape": (1, 3, None, None)}, r"square RGB .*got \[1, 3, \?, \?\]"),
        ([node("Flatten", "x")], {"shape": (3, 8, 8)}, r"square RGB .*got \[3, 8, 8\]"),
        ([node("Add", "x z", "s"), node("Flatten", "s")], {"others": ["z"]}, "one input, got"),
        (
            POOL,
            {"outputs": [helper.make_tensor_value_info("p", 1, None)]},
            r"got 2 outputs \(y \[N, D\], p \[\]\); say with --output",
        ),
        ([node("Identity", "x")], {"result": (1, 3, 8, 8)}, r"give embeddings \[N, D\]"),
        (
            [*POOL[:1], node("Flatten", "p", "f"), node("Cast", "f", to=7)],
            {"result_kind": TensorProto.INT64},
            "floating-point numbers, got int64",
        ),
        (POOL, {"opset": 99}, "must run in ONNX Runtime .*, which says: "),
    ],
)
def test_a_network_for_something_else_is_refused_at_once(
    tmp_path, image_set, nodes, options, message, is_with_data
):
    path = save(tmp_path / "own.onnx", nodes, **options)

    with pytest.raises(SearchError, match=message):
        import_gallery(
            tmp_path / "shop",
            GallerySources(onnx_path=path),
            load_images=(lambda _: image_set) if is_with_data else None,
        )
    assert not (tmp_path / "shop").exists()


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Neg", "f", "n"), node("Log", "n")],
        [node("Neg", "f", "n"), node("Relu", "n")],
    ],
    ids=["nan", "zeros"],
)
@pytest.mark.parametrize("is_with_data", [False, True], ids=["noise", "data"])
def test_a_network_that_gives_no_directions_is_refused(tmp_path, image_set, nodes, is_with_data):
    path = save(tmp_path / "own.onnx", [POOL[0], node("Flatten", "p", "f"), *nodes])
    named = "'dots/0', 'dots/1'" if is_with_data else "'made-up image 0', 'made-up image 1'"

    with pytest.raises(BadEmbeddings, match=rf"what .*own\.onnx gives must be finite .*{named}"):
        import_gallery(
            tmp_path / "shop",
            GallerySources(onnx_path=path),
            load_images=(lambda _: image_set) if is_with_data else None,
        )


def test_a_network_that_mixes_the_images_of_a_batch_is_refused(tmp_path):
    nodes = [
        POOL[0],
        node("Flatten", "p", "f"),
        node("ReduceMean", "f", "m", axes=[0]),
        node("Sub", "f m", "d"),
        node("Add", "d one"),
    ]
    path = save(
        tmp_path / "own.onnx", nodes, shape=("N", 3, 8, 8), initializer=[constant("one", 0.01)]
    )

    with pytest.raises(BadGallery, match="the same embedding whatever is in its batch"):
        import_gallery(tmp_path / "shop", GallerySources(onnx_path=path))


def test_a_network_whose_images_mean_nothing_alone_is_refused_as_one_that_mixes(tmp_path):
    nodes = [POOL[0], node("Flatten", "p", "f"), node("ReduceMean", "f", "m", axes=[0])]
    path = save(tmp_path / "own.onnx", [*nodes, node("Sub", "f m")], shape=("N", 3, 8, 8))

    with pytest.raises(BadGallery, match=r"whatever is in its batch, two differ by"):
        import_gallery(tmp_path / "shop", GallerySources(onnx_path=path))


@pytest.mark.parametrize("is_with_data", [False, True], ids=["noise", "data"])
def test_a_network_that_can_tell_no_images_apart_is_refused(tmp_path, image_set, is_with_data):
    nodes = [POOL[0], node("Flatten", "p", "f"), node("Mul", "f zero", "m"), node("Add", "m one")]
    constants = [constant("zero", 0.0), constant("one", 1.0)]
    path = save(tmp_path / "own.onnx", nodes, initializer=constants)

    with pytest.raises(BadGallery, match="must tell images apart, got the same embedding"):
        import_gallery(
            tmp_path / "shop",
            GallerySources(onnx_path=path),
            load_images=(lambda _: image_set) if is_with_data else None,
        )
    assert not (tmp_path / "shop").exists()


@pytest.mark.parametrize("batch", ["batch_size", None, 4], ids=["named", "open", "four"])
def test_a_network_of_any_batch_embeds_as_that_of_one_image(tmp_path, image_set, batch):
    weight = numpy_helper.from_array(WEIGHT, "w")
    nodes = [node("Conv", "x w", "c"), node("GlobalAveragePool", "c", "p"), POOL[1]]
    one = save(tmp_path / "one.onnx", nodes, initializer=[weight])
    many = save(tmp_path / "many.onnx", nodes, shape=(batch, 3, 8, 8), initializer=[weight])

    found = import_gallery(tmp_path / "many", GallerySources(onnx_path=many))

    expected = import_gallery(tmp_path / "one", GallerySources(onnx_path=one))
    np.testing.assert_allclose(
        found.embed(image_set.images), expected.embed(image_set.images), atol=1e-6
    )
    assert (found.macs, found.embedding_dim) == (expected.macs, 6) == (8 * 8 * 3 * 6, 6)
    assert count_network(found.onnx_path).macs == found.macs  # what it costs to compile and time


def test_a_network_with_a_batch_built_into_it_has_its_batches_filled_up(tmp_path, image_set):
    shape = numpy_helper.from_array(np.array([4, -1]), "shape")
    weight = numpy_helper.from_array(WEIGHT, "w")
    nodes = [node("Conv", "x w", "c"), node("GlobalAveragePool", "c", "p")]
    given = [*nodes, node("Reshape", "p shape")]
    path = save(tmp_path / "own.onnx", given, shape=(4, 3, 8, 8), initializer=[weight, shape])
    any_size = save(tmp_path / "any.onnx", [*nodes, POOL[1]], initializer=[weight])

    found = import_gallery(tmp_path / "shop", GallerySources(onnx_path=path))

    expected = import_gallery(tmp_path / "any", GallerySources(onnx_path=any_size))
    np.testing.assert_allclose(
        found.embed(image_set.images), expected.embed(image_set.images), atol=1e-6
    )
    assert (found.macs, found.onnx_path) == (None, None)  # it can't be timed on one image


def in_an_initializer():
    return [node("Conv", "x w", "c")], {"initializer": [numpy_helper.from_array(WEIGHT, "w")]}


def in_a_constant_node():
    made = node("Constant", "", "w", value=numpy_helper.from_array(WEIGHT))
    return [made, node("Conv", "x w", "c")], {}


def in_a_subgraph():
    result = helper.make_tensor_value_info("w1", TensorProto.FLOAT, WEIGHT.shape)
    branch = helper.make_graph(
        [node("Identity", "w0", "w1")], "b", [], [result], [numpy_helper.from_array(WEIGHT, "w0")]
    )
    made = node("If", "yes", "w", then_branch=branch, else_branch=branch)
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    return [made, node("Conv", "x w", "c")], {"initializer": [yes]}


def in_a_function():
    """Returns the call; the function is added to the model."""
    return [node("Weight", "", "w", domain="mine"), node("Conv", "x w", "c")], {
        "functions": [
            helper.make_function(
                "mine",
                "Weight",
                [],
                ["w"],
                [node("Constant", "", "w", value=numpy_helper.from_array(WEIGHT))],
                [helper.make_opsetid("", 17)],
            )
        ]
    }


PLACES = [in_an_initializer, in_a_constant_node, in_a_subgraph, in_a_function]


@pytest.mark.parametrize("place", PLACES)
def test_weights_beside_the_file_come_along_wherever_they_stand(tmp_path, image_set, place):
    nodes, more = place()
    path = save(
        tmp_path / "own.onnx", [*nodes, node("GlobalAveragePool", "c", "p"), POOL[1]], **more
    )
    whole = import_gallery(tmp_path / "whole", GallerySources(onnx_path=path))
    beside = tmp_path / "beside"
    beside.mkdir()
    model = onnx.load(path)
    external_data_helper.convert_model_to_external_data(
        model, location="weights", size_threshold=16, convert_attribute=True
    )
    onnx.save(model, beside / "own.onnx")
    assert (beside / "weights").exists()

    gallery = import_gallery(tmp_path / "shop", GallerySources(onnx_path=beside / "own.onnx"))
    (beside / "weights").unlink()

    np.testing.assert_array_equal(gallery.embed(image_set.images), whole.embed(image_set.images))
    with pytest.raises(BadGallery, match=r"the weights of .*own\.onnx must lie beside it"):
        import_gallery(tmp_path / "gone", GallerySources(onnx_path=beside / "own.onnx"))


def beside(folder, location="weights", target="weights"):
    """Write a network whose weights lie in a file of its own."""
    weight = numpy_helper.from_array(WEIGHT, "w")
    nodes = [node("Conv", "x w", "c"), node("GlobalAveragePool", "c", "p"), POOL[1]]
    path = save(folder / "own.onnx", nodes, shape=("N", 3, 8, 8), initializer=[weight])
    model = onnx.load(path)
    (tensor,) = model.graph.initializer
    (folder / target).write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    (folder / "beside.onnx").write_bytes(model.SerializeToString())
    return path, folder / "beside.onnx"


def test_weights_too_large_for_one_file_stay_beside_it(tmp_path, image_set, monkeypatch):
    whole_path, path = beside(tmp_path)
    whole = import_gallery(tmp_path / "whole", GallerySources(onnx_path=whole_path))
    monkeypatch.setattr(onnx_file, "MOST_BYTES", path.stat().st_size + WEIGHT.nbytes - 1)

    found = import_gallery(tmp_path / "shop", GallerySources(onnx_path=path))
    (tmp_path / "weights").unlink()

    np.testing.assert_array_equal(found.embed(image_set.images), whole.embed(image_set.images))
    kept = {one.name for one in found.path.iterdir()}
    assert kept == {"gallery.json", "network.onnx", "network.onnx.weights-0"}
    assert found.network_sha256 != whole.network_sha256


@pytest.mark.parametrize("location", ["../secret", "link"])
@pytest.mark.parametrize("is_large", [False, True])
def test_weights_that_lie_elsewhere_are_not_fetched(tmp_path, monkeypatch, location, is_large):
    (tmp_path / "own").mkdir()
    _, path = beside(tmp_path / "own", location, target="../secret")
    (tmp_path / "own" / "link").symlink_to(tmp_path / "secret")
    if is_large:
        monkeypatch.setattr(onnx_file, "MOST_BYTES", path.stat().st_size)

    with pytest.raises(BadGallery, match=rf"must lie beside it, .*got '{location}'"):
        import_gallery(tmp_path / "shop", GallerySources(onnx_path=path))
    assert not (tmp_path / "shop").exists()


def test_a_file_above_two_gib_is_told_its_size(tmp_path):
    with (tmp_path / "own.onnx").open("wb") as file:
        file.truncate(3 * 2**30)  # sparse

    with pytest.raises(BadGallery, match=r"less than 2 GiB, .*got 3\.0 GiB; export it with"):
        import_gallery(tmp_path / "shop", GallerySources(onnx_path=tmp_path / "own.onnx"))
