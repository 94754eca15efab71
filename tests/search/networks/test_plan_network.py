"""What operations of a plan are in torch, where torch's own would be slower."""

import pytest
import torch

from cmpc_search.networks.plan_network import EachChannel


@pytest.mark.parametrize("start", [0, 1])
def test_every_second_channel_has_the_gradient_of_a_slice_in_the_layout_of_the_whole(start):
    whole = torch.randn(2, 6, 4, 4).to(memory_format=torch.channels_last).requires_grad_()
    again = whole.detach().clone().requires_grad_()
    weight = torch.randn(2, 3, 4, 4)

    found, expected = EachChannel.apply(whole, start, 2), again[:, start::2]
    (found * weight).sum().backward()
    (expected * weight).sum().backward()

    assert found.equal(expected)
    assert whole.grad.equal(again.grad)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert whole.grad.is_contiguous(memory_format=torch.channels_last)
