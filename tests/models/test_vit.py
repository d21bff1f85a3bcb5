"""The ViT walk against timm's own forward, windows, sizes and errors."""

import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer

from vfm_isrefiner.models.build import build_isrefiner
from vfm_isrefiner.models.vit import ViT, _windowed


def _small_vit(size: int = 64) -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(img_size=size, patch_size=16, embed_dim=32, depth=7, num_heads=2, num_classes=0)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "vit_small_patch14_reg4_dinov2", "vit_small_patch16_dinov3"])
def test_equals_timm_forward_features_without_clicks(name: str) -> None:
    torch.manual_seed(0)
    theirs = timm.create_model(name, pretrained=False, num_classes=0, img_size=112, depth=3).eval()
    expected_tokens = theirs.forward_features(image := torch.randn(2, 3, 112, 112))[:, theirs.num_prefix_tokens :]
    ours = ViT(theirs, prefix_tokens=True, final_norm=True).eval()
    torch.nn.init.zeros_(ours.click_embed.weight)
    torch.nn.init.zeros_(ours.click_embed.bias)
    _, deep = ours(ours.embed_image(image), torch.zeros(2, 4, 112, 112))
    torch.testing.assert_close(deep.flatten(2).transpose(1, 2), expected_tokens, atol=1e-4, rtol=1e-4)


def test_windowed_blocks_see_only_their_window() -> None:
    vit = ViT(_small_vit(448), attention="windowed").eval()
    auxiliary = torch.zeros(1, 4, 448, 448)
    base = vit(vit.embed_image(torch.zeros(1, 3, 448, 448)), auxiliary)[0][0]
    auxiliary[..., :16, :16] = 1  # the first token, in the first of 2x2 windows
    moved = vit(vit.embed_image(torch.zeros(1, 3, 448, 448)), auxiliary)[0][0]
    changed = (moved - base).abs().amax(2).reshape(28, 28) > 1e-7
    assert changed[:14, :14].all()
    assert not changed[14:].any()
    assert not changed[:, 14:].any()


def test_clicks_come_through_in_bf16() -> None:
    """Four channels by 16x16 pixels, in which some CPUs' bfloat16 convolution loses nearly everything."""
    vit = ViT(VisionTransformer(img_size=160, patch_size=16, embed_dim=192, depth=3, num_heads=3, num_classes=0))
    auxiliary = torch.zeros(1, 4, 164, 170)
    auxiliary[:, 2, 50:60, 70:80] = 1
    with torch.no_grad():
        exact = vit.click_embed(auxiliary).permute(0, 2, 3, 1)
        torch.testing.assert_close(vit._embed_clicks(auxiliary), exact, atol=1e-5, rtol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            half = vit._embed_clicks(auxiliary).float()
    torch.testing.assert_close(half, exact, atol=0.02, rtol=0.02)


def test_window_split_puts_every_token_back() -> None:
    tokens = torch.randn(2, 30 * 17, 8)
    torch.testing.assert_close(_windowed(torch.nn.Identity(), tokens, torch.Size((30, 17))), tokens)
    torch.testing.assert_close(_windowed(torch.nn.Identity(), tokens[:, : 29 * 15], torch.Size((29, 15))), tokens[:, : 29 * 15])


def test_early_blocks_are_the_first_ones_asked_for() -> None:
    timm_vit = _small_vit()
    vit = ViT(timm_vit, early_blocks=(2, 3)).eval()
    patches, auxiliary = vit.embed_image(torch.randn(1, 3, 64, 64)), torch.randn(1, 4, 64, 64)
    (first, second), _ = vit(patches, auxiliary)
    tokens = patches + vit.click_embed(auxiliary).flatten(2).transpose(1, 2)
    after_two = timm_vit.blocks[1](timm_vit.blocks[0](tokens))
    torch.testing.assert_close(first, after_two)
    torch.testing.assert_close(second, timm_vit.blocks[2](after_two))


@pytest.mark.parametrize("size", [(64, 64), (96, 160), (70, 51), (200, 64)])
def test_other_sizes_work_by_interpolated_positions(size: tuple[int, int]) -> None:
    network = build_isrefiner("test", image_size=64).eval()
    zeros = torch.zeros(1, 1, *size)
    logits = network(network.encode_image(torch.rand(1, 3, *size)), torch.zeros(1, 2, *size), zeros, zeros)
    assert logits.shape == (1, 1, *size)
    assert logits.isfinite().all()


def test_errors() -> None:
    with pytest.raises(ValueError, match="'global' or 'windowed'"):
        ViT(_small_vit(), attention="local")
    with pytest.raises(ValueError, match="count from 1"):
        ViT(_small_vit(), early_blocks=(7, 8))
    with pytest.raises(ValueError, match="rotary"):
        ViT(timm.create_model("vit_small_patch16_dinov3", pretrained=False, depth=3), attention="windowed", prefix_tokens=True)
    with pytest.raises(ValueError, match="not a timm model"):
        build_isrefiner("test", backbone="vit_enormous")
    with pytest.raises(ValueError, match="plain ViT"):
        build_isrefiner("test", backbone="resnet18")
