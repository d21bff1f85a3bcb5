"""The fast forms against the plain ones: part by part, whole networks, and gradients."""

import threading

import pytest
import torch
from moved_weights import moved
from torch import nn

from vfm_isrefiner.models.attention import CrossAttention
from vfm_isrefiner.models.build import BUILDERS
from vfm_isrefiner.models.dynamic_conv import DynamicConv
from vfm_isrefiner.models.forms import fast, plain_forms
from vfm_isrefiner.models.pyramid_fusion import PyramidFusion


def test_one_query_looks_at_the_source_itself() -> None:
    attention = moved(CrossAttention(32, 4))
    query, source = torch.randn(3, 1, 32), torch.randn(3, 7, 32)
    with plain_forms():
        expected = attention(query, source)
    assert not torch.equal(attention(query, source), expected), "the fast form was not taken"
    torch.testing.assert_close(attention(query, source), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("batch", [1, 3])
def test_the_dynamic_convolution_reads_through_the_upsampling(batch: int) -> None:
    convolution = moved(DynamicConv(6))
    upsample = moved(nn.Sequential(nn.ConvTranspose2d(20, 12, 2, 2), nn.ConvTranspose2d(12, 6, 2, 2)), 1)
    grid, rest, token = torch.randn(batch, 20, 3, 5), torch.randn(batch, 6, 12, 20), torch.randn(batch, 6)
    expected = convolution(upsample(grid) + rest, token)
    torch.testing.assert_close(
        convolution.read_upsampled(grid, upsample, token) + convolution(rest, token), expected, atol=1e-5, rtol=1e-5
    )


def test_the_pyramid_is_fused_before_it_is_resized() -> None:
    fusion = moved(PyramidFusion((4, 6, 8, 10), 5))
    pyramid = tuple(torch.randn(2, width, side, side + 1) for width, side in ((4, 12), (6, 6), (8, 3), (10, 2)))
    with plain_forms():
        expected = fusion(pyramid, torch.Size((12, 13)))
    torch.testing.assert_close(fusion(pyramid, torch.Size((12, 13))), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", list(BUILDERS))
@pytest.mark.parametrize("size", [(64, 64), (64, 96)])
def test_whole_networks_agree(kind: str, size: tuple[int, int]) -> None:
    network = moved(BUILDERS[kind]("test", image_size=64)).eval()
    image, auxiliary = torch.rand(2, 3, *size), torch.rand(2, 4, *size)

    def play() -> torch.Tensor:
        features = network.encode_image(image)
        return network(features, auxiliary[:, 2:], auxiliary[:, :1], auxiliary[:, 1:2]).sigmoid()

    with torch.no_grad():
        with plain_forms():
            expected = play()
        torch.testing.assert_close(play(), expected, atol=1e-5, rtol=0)


def test_gradients_agree() -> None:
    network = moved(BUILDERS["isrefiner"]("test", image_size=64)).eval()
    image, auxiliary = torch.rand(2, 3, 64, 64), torch.rand(2, 4, 64, 64)

    def gradients() -> list[torch.Tensor]:
        network.zero_grad()
        features = network.encode_image(image)
        network(features, auxiliary[:, 2:], auxiliary[:, :1], auxiliary[:, 1:2]).square().mean().backward()
        return [value.grad.clone() for value in network.parameters() if value.grad is not None]

    with plain_forms():
        expected = gradients()
    for got, wanted in zip(gradients(), expected, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-5 + 1e-4 * float(wanted.abs().max()), rtol=0)


def test_plain_forms_hold_in_all_threads_and_end() -> None:
    seen = []
    with plain_forms(), plain_forms():
        thread = threading.Thread(target=lambda: seen.append(fast()))
        thread.start()
        thread.join()
    assert seen == [False]
    assert fast()


def test_plain_forms_of_two_threads_may_end_in_any_order() -> None:
    first, second = plain_forms(), plain_forms()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not fast()
    second.__exit__(None, None, None)
    assert fast()
