"""What the written graphs compute, by ONNX Runtime, against torch."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional

from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.graphs.writing import GraphWriter, fold_batch_norm


def answer_of(path, image):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0]


def test_a_graph_of_all_layers_computes_what_torch_computes(tmp_path, rng):
    image = rng.random((1, 3, 12, 12), dtype=np.float32)
    scale, shift = (rng.random(3, dtype=np.float32) for _ in range(2))
    stem = rng.standard_normal((8, 3, 3, 3), dtype=np.float32)
    stem_bias = rng.standard_normal(8, dtype=np.float32)
    depthwise = rng.standard_normal((8, 1, 5, 5), dtype=np.float32)
    dense = rng.standard_normal((7, 16), dtype=np.float32)
    dense_bias = rng.standard_normal(7, dtype=np.float32)

    writer = GraphWriter("all", image.shape)
    x = writer.affine(writer.input, scale, shift)
    x = writer.relu(writer.conv(x, stem, stem_bias, stride=2, padding=1))
    y = writer.conv(x, depthwise, padding=2, groups=8)
    x = writer.channel_shuffle(writer.concat([writer.add(x, y), x]), 2)
    first, second = writer.split_channels(x, [4, 12])
    x = writer.concat([writer.slice_channels(second, start=1, step=3), first, second])
    x = writer.slice_channels(x, stop=16)
    x = writer.global_average_pool(writer.max_pool(x, kernel=3, stride=2, padding=1))
    writer.save(tmp_path / "all.onnx", writer.l2_normalise(writer.dense(x, dense, dense_bias)))

    t = torch.from_numpy
    x = t(image) * t(scale)[:, None, None] + t(shift)[:, None, None]
    x = functional.conv2d(x, t(stem), t(stem_bias), stride=2, padding=1).relu()
    y = functional.conv2d(x, t(depthwise), padding=2, groups=8)
    x = functional.channel_shuffle(torch.cat([x + y, x], 1), 2)
    first, second = x.split([4, 12], 1)
    x = torch.cat([second[:, 1::3], first, second], 1)[:, :16]
    x = functional.max_pool2d(x, 3, 2, 1).mean(dim=(2, 3))
    expected = functional.normalize(functional.linear(x, t(dense), t(dense_bias)), dim=1)
    given = answer_of(tmp_path / "all.onnx", image)
    np.testing.assert_allclose(given, expected.numpy(), atol=1e-5)


def test_a_folded_batch_norm_changes_no_answer(rng):
    norm = torch.nn.BatchNorm2d(6).eval()
    with torch.no_grad():
        for values in (norm.weight, norm.bias, norm.running_mean):
            values.copy_(torch.from_numpy(rng.standard_normal(6)))
        norm.running_var.copy_(torch.from_numpy(rng.random(6)))
    weight = rng.standard_normal((6, 3, 3, 3), dtype=np.float32)
    image = torch.from_numpy(rng.random((1, 3, 8, 8), dtype=np.float32))

    folded = fold_batch_norm(
        weight,
        (norm.weight.detach().numpy(), norm.bias.detach().numpy()),
        (norm.running_mean.numpy(), norm.running_var.numpy()),
    )

    expected = norm(functional.conv2d(image, torch.from_numpy(weight))).detach()
    given = functional.conv2d(image, *map(torch.from_numpy, folded))
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "misuse",
    [
        lambda w: w.conv(w.input, np.zeros((4, 2, 3, 3), np.float32)),
        lambda w: w.conv(w.input, np.zeros((4, 3, 9, 9), np.float32)),
        lambda w: w.conv(w.input, np.zeros((4, 3, 3, 3), np.float64)),
        lambda w: w.add(w.input, w.max_pool(w.input, kernel=2, stride=2)),
        lambda w: w.concat([w.input, w.max_pool(w.input, kernel=2, stride=2)]),
        lambda w: w.split_channels(w.input, [1, 1]),
        lambda w: w.channel_shuffle(w.input, 2),
        lambda w: w.dense(w.global_average_pool(w.input), np.zeros((5, 4), np.float32)),
        lambda w: w.relu("nothing"),
    ],
)
def test_layers_that_do_not_fit_are_refused(misuse):
    with pytest.raises(BadArgument):
        misuse(GraphWriter("misused", (1, 3, 8, 8)))
