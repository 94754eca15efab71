"""However a network wants its images, it gets them so wherever it embeds; torch is the judge."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from pydantic import ValidationError

from cmpc_search.errors import BadArgument, BadGallery
from cmpc_search.gallery import GallerySources, import_gallery
from cmpc_search.gallery.record import OnnxReading
from cmpc_search.pixels import to_float

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WEIGHT = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)


def own_network(path, *, kind=TensorProto.FLOAT, shape=("N", 3, 8, 8), opset=17):
    """Write a network with three outputs: a map, its tokens, and an embedding."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    is_last = shape[3] == 3
    image = helper.make_node("Transpose", ["x"], ["i"], perm=[0, 3, 1, 2])
    tokens = numpy_helper.from_array(np.array([0, 6, -1]), "token_shape")
    back = helper.make_node("Transpose", ["m0"], ["map"], perm=[0, 2, 3, 1])
    nodes = [
        image if is_last else helper.make_node("Identity", ["x"], ["i"]),
        helper.make_node("Conv", ["i", "w"], ["c"]),
        helper.make_node("Relu", ["c"], ["m0"]),
        back if is_last else helper.make_node("Identity", ["m0"], ["map"]),
        helper.make_node("Reshape", ["m0", "token_shape"], ["t"]),
        helper.make_node("Transpose", ["t"], ["tokens"], perm=[0, 2, 1]),
        helper.make_node("GlobalAveragePool", ["m0"], ["embedding"]),
    ]
    sizes = {
        "map": ("N", "h", "w", 6) if is_last else ("N", 6, "h", "w"),
        "tokens": ("N", "T", 6),
        "embedding": ("N", 6, 1, 1),
    }
    weight = numpy_helper.from_array(WEIGHT.reshape(6, 3, 1, 1).astype(dtype), "w")
    graph = helper.make_graph(
        nodes,
        "own",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(name, kind, size) for name, size in sizes.items()],
        [weight, tokens],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def expected(images, reading):
    """Return unit embeddings float64 [N, 6] as the user's own program would."""
    floats = to_float(torch.from_numpy(images)).double()
    mean, std = (torch.tensor(one).double()[:, None, None] for one in (reading.mean, reading.std))
    fed = (floats - mean) / std * reading.scale
    if reading.colour_order == "BGR":
        fed = fed.flip(1)
    found = torch.einsum("dc,nchw->ndhw", torch.from_numpy(WEIGHT).double(), fed).relu()
    rows = found[:, :, 0, 0] if reading.pool == "first" else found.mean((2, 3))
    return torch.nn.functional.normalize(rows).numpy()


@pytest.mark.parametrize(
    ("reading", "network"),
    [
        (OnnxReading(mean=MEAN, std=STD, output="embedding"), {}),
        (OnnxReading(mean=MEAN, std=STD, scale=255, colour_order="BGR", output="embedding"), {}),
        (OnnxReading(mean=MEAN, output="embedding"), {"shape": ("N", 8, 8, 3)}),
        (OnnxReading(mean=MEAN, output="embedding"), {"kind": TensorProto.FLOAT16}),
        (OnnxReading(std=STD, output="map", pool="mean"), {"shape": (2, 8, 8, 3)}),
        (OnnxReading(output="map", pool="mean"), {"shape": (3, 3, 8, 8), "opset": 13}),
        (OnnxReading(output="map", pool="mean"), {"opset": 18, "kind": TensorProto.FLOAT16}),
        (OnnxReading(mean=MEAN, output="tokens", pool="mean"), {}),
        (OnnxReading(mean=MEAN, output="tokens", pool="first"), {}),
        (
            OnnxReading(input_size_px=8, mean=MEAN, output="embedding"),
            {"shape": ("batch", "channels", "height", "width")},
        ),
    ],
    ids=[
        *("normalised", "bytes-bgr", "nhwc", "float16", "nhwc-map", "map", "map-float16"),
        *("tokens", "first-token", "open-sizes"),
    ],
)
def test_a_network_is_fed_as_it_was_trained(tmp_path, image_set, reading, network):
    path = own_network(tmp_path / "own.onnx", **network)

    gallery = import_gallery(tmp_path / "shop", GallerySources(onnx_path=path, reading=reading))

    tolerance = 5e-3 if network.get("kind") == TensorProto.FLOAT16 else 1e-5
    np.testing.assert_allclose(
        gallery.embed(image_set.images), expected(image_set.images, reading), atol=tolerance
    )
    assert (gallery.input_size_px, gallery.embedding_dim) == (8, 6)
    assert gallery.macs == 8 * 8 * 3 * 6
    assert gallery.record.reading == reading


def test_a_network_out_of_a_gallery_may_be_imported_again(tmp_path, image_set):
    once = OnnxReading(mean=MEAN, colour_order="BGR", output="map", pool="mean")
    path = own_network(tmp_path / "own.onnx")
    first = import_gallery(tmp_path / "first", GallerySources(onnx_path=path, reading=once))
    again = OnnxReading(std=(0.5, 0.5, 0.5), colour_order="BGR")

    second = import_gallery(
        tmp_path / "second", GallerySources(onnx_path=first.onnx_path, reading=again)
    )

    both = OnnxReading(mean=[one / 2 for one in reversed(MEAN)], std=(0.5, 0.5, 0.5), pool="mean")
    np.testing.assert_allclose(
        second.embed(image_set.images), expected(image_set.images, both), atol=1e-5
    )


def test_one_network_fed_in_two_ways_is_two_networks(tmp_path):
    path = own_network(tmp_path / "own.onnx")
    readings = (
        OnnxReading(output="embedding"),
        OnnxReading(output="embedding", mean=MEAN),
        OnnxReading(output="embedding", colour_order="BGR"),
    )

    hashes = {
        import_gallery(
            tmp_path / str(number), GallerySources(onnx_path=path, reading=reading)
        ).network_sha256
        for number, reading in enumerate(readings)
    }

    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("reading", "shape", "message"),
    [
        (OnnxReading(), ("N", 3, 8, 8), r"3 outputs \(map \[N, 6, h, w\], .*say with --output"),
        (OnnxReading(output="maps"), ("N", 3, 8, 8), "must have the output 'maps', it has map"),
        (OnnxReading(output="map"), ("N", 3, 8, 8), r"\(20, 6, 8, 8\).*--pool takes the mean"),
        (OnnxReading(output="map", pool="first"), ("N", 3, 8, 8), "--pool takes the mean"),
        (OnnxReading(output="map"), ("N", 3, "h", "w"), "say with --input-size-px what"),
        (
            OnnxReading(input_size_px=9, output="map"),
            ("N", 3, 8, 8),
            r"of 9 px, got \[N, 3, 8, 8\]",
        ),
    ],
)
def test_what_is_not_said_of_a_network_is_asked_for(tmp_path, reading, shape, message):
    path = own_network(tmp_path / "own.onnx", shape=shape)

    with pytest.raises(BadGallery, match=message):
        import_gallery(tmp_path / "shop", GallerySources(onnx_path=path, reading=reading))
    assert not (tmp_path / "shop").exists()


def test_a_network_that_draws_at_random_is_refused(tmp_path):
    path = own_network(tmp_path / "own.onnx")
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "e"
    model.graph.node.append(helper.make_node("RandomNormalLike", ["e"], ["noise"]))
    model.graph.node.append(helper.make_node("Add", ["e", "noise"], ["embedding"]))
    onnx.save(model, path)
    sources = GallerySources(onnx_path=path, reading=OnnxReading(output="embedding"))

    with pytest.raises(BadGallery, match="the same embedding each time"):
        import_gallery(tmp_path / "shop", sources)


@pytest.mark.parametrize(
    ("name", "reading", "is_told"),
    [
        ("resnet50", OnnxReading(output="embedding"), True),
        ("resnet50", OnnxReading(output="embedding", mean=(0, 0, 0)), False),
        ("own", OnnxReading(output="embedding"), False),
    ],
)
def test_a_name_known_from_imagenet_without_mean_and_std_is_noticed(
    tmp_path, name, reading, is_told
):
    path, told = own_network(tmp_path / f"{name}.onnx"), []

    import_gallery(
        tmp_path / "shop",
        GallerySources(onnx_path=path, reading=reading),
        on_notice=told.append,
    )

    assert [one for one in told if "trained on normalised" in one] == told[:-1]
    assert (len(told) == 2) == is_told
    assert "was tried on 20 made-up images: what it gives is finite, tells them apart" in told[-1]


def test_a_way_of_reading_without_a_network_is_refused(tmp_path):
    sources = GallerySources(embeddings_path=tmp_path / "rows.npy", reading=OnnxReading(mean=MEAN))

    with pytest.raises(BadArgument, match="mean must be said of a --network"):
        import_gallery(tmp_path / "shop", sources)


@pytest.mark.parametrize("values", [{"std": (1, 0, 1)}, {"scale": float("inf")}, {"mean": (1, 2)}])
def test_numbers_that_nothing_can_be_fed_by_are_refused(values):
    with pytest.raises(ValidationError):
        OnnxReading(**values)
