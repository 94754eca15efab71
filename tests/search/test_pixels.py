"""Pictures are the same as bytes and as floats."""

import torch

from cmpc_search.pixels import to_bytes, to_float


def test_bytes_become_floats_of_zero_to_one_with_channels_first():
    images = torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8)

    torch.testing.assert_close(to_float(images), torch.tensor([0, 0.2, 1.0]).reshape(1, 3, 1, 1))


def test_floats_become_the_bytes_that_they_came_from():
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(1, 16, 16, 3)

    assert (to_bytes(to_float(images)) == images.numpy()).all()
