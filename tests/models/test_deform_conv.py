"""The grid_sample deformable convolution against torchvision's."""

import pytest
import torch
from torchvision.ops import deform_conv2d

from vfm_isrefiner.models.deform_conv import DeformConv3x3, deform_conv_by_grid_sample


@pytest.mark.parametrize("size", [(7, 9), (16, 16), (1, 5), (1, 1)])
@pytest.mark.parametrize("spread", [0.0, 2.0, 20.0])
def test_equals_torchvision_to_1e_5_with_gradients(size: tuple[int, int], spread: float) -> None:
    torch.manual_seed(1)
    x = torch.randn(2, 5, *size, requires_grad=True)
    offset = (spread * torch.randn(2, 18, *size)).requires_grad_()
    weight, bias = torch.randn(4, 5, 3, 3, requires_grad=True), torch.randn(4, requires_grad=True)
    ours = deform_conv_by_grid_sample(x, offset, weight, bias)
    theirs = deform_conv2d(x, offset, weight, bias, padding=1)
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-5)
    upstream = torch.randn_like(ours)
    inputs = (x, weight, bias) if spread == 0 else (x, offset, weight, bias)  # at whole pixels the offset's gradient jumps
    for mine, other in zip(
        torch.autograd.grad(ours, inputs, upstream), torch.autograd.grad(theirs, inputs, upstream), strict=True
    ):
        torch.testing.assert_close(mine, other, atol=2e-4, rtol=1e-4)


def test_zero_offset_is_a_plain_convolution() -> None:
    layer = DeformConv3x3(3, 6)
    x = torch.randn(2, 3, 8, 8)
    expected = torch.nn.functional.conv2d(x, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x, torch.zeros(2, 18, 8, 8)), expected, atol=1e-5, rtol=1e-5)


def test_stays_in_float32_under_autocast() -> None:
    layer, x, offset = DeformConv3x3(3, 6), torch.randn(1, 3, 8, 8), torch.randn(1, 18, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x, offset)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, layer(x, offset))
