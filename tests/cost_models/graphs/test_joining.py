"""A joined network gives what its members give, side by side and projected, by ONNX Runtime."""

import numpy as np
import onnx
import onnxruntime
import pytest

from cmpc_cost_models.errors import BadNetworkFile
from cmpc_cost_models.graphs.joining import join_networks
from cmpc_cost_models.graphs.writing import GraphWriter


def write_member(path, length, *, size_px=8, opset=None):
    weight = np.random.default_rng(length).standard_normal((length, 3, 3, 3)).astype(np.float32)
    writer = GraphWriter("member", (1, 3, size_px, size_px))
    writer.save(path, writer.global_average_pool(writer.relu(writer.conv(writer.input, weight))))
    if opset:
        onnx.save(onnx.version_converter.convert_version(onnx.load(path), opset), path)
    return path


def run(path, image):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image})[0]


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("opset", [None, 18, 20])
def test_members_of_one_opset_or_of_several_are_joined(tmp_path, opset):
    members = [write_member(tmp_path / "a", 4), write_member(tmp_path / "b", 5, opset=opset)]
    projection = np.random.default_rng(0).standard_normal((3, 9)).astype(np.float32)
    image = np.random.default_rng(1).random((1, 3, 8, 8), np.float32)

    join_networks(members, projection, tmp_path / "joined")

    together = np.concatenate([unit(run(path, image)) for path in members], axis=1)
    np.testing.assert_allclose(
        run(tmp_path / "joined", image), unit(together @ projection.T), atol=1e-5
    )


def test_members_that_read_two_sizes_are_refused(tmp_path):
    members = [write_member(tmp_path / "a", 4), write_member(tmp_path / "b", 5, size_px=16)]

    with pytest.raises(BadNetworkFile, match=r"images of one size to be joined, got \[8, 16\]"):
        join_networks(members, np.zeros((3, 9), np.float32), tmp_path / "joined")
    assert not (tmp_path / "joined").exists()
