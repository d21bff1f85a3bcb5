"""The vision foundation model of Fig. 2: a plain ViT from timm, whose patch embedding also takes M (Section III-B)."""

from __future__ import annotations

from typing import Any

import torch
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from vfm_isrefiner.models.forms import fast

GLOBAL_EVERY = 6  # SimpleClick and MFP: blocks 6, 12, 18, ... and the last attend globally (their models_vit.py)
WINDOW_TOKENS = 14  # and the others inside windows of about 14x14 tokens: grid // 14 windows a side


class ViT(nn.Module):
    """Walks the public parts of a timm ViT: `patch_embed`, `pos_embed`, `blocks`, `norm`; vendors nothing.

    The auxiliary tensor M = concat(M_prev, M_mod, M_click) is embedded by `click_embed` and added to the image's patch
    embedding before the position embedding, as in SimpleClick and MFP.

    Args:
        vit: a timm `VisionTransformer`, or `Eva` (DINOv3 and other rotary models).
        auxiliary: channels of M: 4 (ISRefiner, MFP) or 3 (SimpleClick).
        attention: "global", or "windowed" as SimpleClick's and MFP's ViTs attend.
        early_blocks: 1-based numbers of the two blocks that give F_ViT^1 and F_ViT^2.
        prefix_tokens: keep class and register tokens in the sequence (models pre-trained with them); MAE-family
            backbones of SimpleClick and MFP run without.
        final_norm: apply the ViT's last normalisation to F_ViT^N; SimpleClick and MFP do not.
    """

    def __init__(
        self,
        vit: VisionTransformer | Eva,
        *,
        auxiliary: int = 4,
        attention: str = "global",
        early_blocks: tuple[int, int] = (2, 3),
        prefix_tokens: bool = False,
        final_norm: bool = False,
    ) -> None:
        super().__init__()
        if attention not in ("global", "windowed"):
            raise ValueError(f"ViT attention is 'global' or 'windowed', got {attention!r}.")
        depth = len(vit.blocks)
        if not all(1 <= number <= depth for number in early_blocks):
            raise ValueError(f"early_blocks count from 1 to the ViT's depth {depth}, got {tuple(early_blocks)}.")
        rotary = isinstance(vit, Eva)
        if rotary and attention == "windowed":
            raise ValueError(
                "windowed attention is for ViTs with absolute positions; a rotary backbone takes attention='global'."
            )
        self.vit = vit
        self.attention = attention
        self.early_blocks = tuple(early_blocks)
        self.prefix_tokens = prefix_tokens
        self.final_norm = final_norm
        self.rotary = rotary
        self.width: int = vit.embed_dim
        self.patch: int = vit.patch_embed.patch_size[0]
        self.click_embed = nn.Conv2d(auxiliary, self.width, self.patch, self.patch)
        if not final_norm:
            vit.norm = nn.Identity()
        if not prefix_tokens:
            self._drop_prefix()

    def _drop_prefix(self) -> None:
        """Tokens that never run are not carried along (their gradients would stay zero)."""
        vit, prefix = self.vit, self.vit.num_prefix_tokens
        if vit.pos_embed is not None and prefix and not getattr(vit, "no_embed_class", False):
            vit.pos_embed = nn.Parameter(vit.pos_embed.detach()[:, prefix:].clone())
        for name in ("cls_token", "reg_token"):
            if getattr(vit, name, None) is not None:
                setattr(vit, name, None)
        vit.num_prefix_tokens = 0

    def embed_image(self, image: Tensor) -> Tensor:
        """Normalised image (B, 3, H, W) -> (B, h*w, C) patch tokens with positions: all that the image alone decides."""
        grid = self.vit.patch_embed.proj(image)
        tokens = self.vit.patch_embed.norm(grid.flatten(2).transpose(1, 2))
        if self.vit.pos_embed is None:
            return tokens
        positions = self.vit.pos_embed
        skip = 0 if getattr(self.vit, "no_embed_class", False) else self.vit.num_prefix_tokens
        return tokens + self._resize_positions(positions[:, skip:], grid.shape[-2:])

    def _resize_positions(self, positions: Tensor, grid: torch.Size) -> Tensor:
        """Bicubic, align_corners=False, as `interpolate_pos_embed_inference` of SimpleClick does."""
        side = int(positions.shape[1] ** 0.5)
        trained = self.vit.patch_embed.grid_size if side * side != positions.shape[1] else (side, side)
        if tuple(trained) == tuple(grid):
            return positions
        square = positions.transpose(1, 2).unflatten(2, tuple(trained))
        resized = F.interpolate(square.float(), size=tuple(grid), mode="bicubic", align_corners=False)
        return resized.flatten(2).transpose(1, 2).to(positions.dtype)

    def _embed_clicks(self, auxiliary: Tensor) -> Tensor:
        """`click_embed` of M: (B, h, w, C). Fast: as a product of matrices.

        oneDNN's bfloat16 convolution of 4 channels with kernels of 16x16 pixels is wrong on CPUs with AMX (torch 2.15).
        """
        if not fast():
            return self.click_embed(auxiliary).permute(0, 2, 3, 1)
        side = self.patch
        height, width = (length // side for length in auxiliary.shape[-2:])
        whole = auxiliary[..., : height * side, : width * side]
        cut = whole.unflatten(3, (width, side)).unflatten(2, (height, side)).permute(0, 2, 4, 1, 3, 5).flatten(3)
        return F.linear(cut, self.click_embed.weight.flatten(1), self.click_embed.bias)

    def forward(self, patches: Tensor, auxiliary: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Run the blocks on `patches` (from `embed_image`) and M (B, 3 or 4, H, W).

        Returns:
            (F_ViT^1, F_ViT^2), each (B, h*w, C) tokens, and F_ViT^N as a (B, C, h, w) grid.
        """
        clicks = self._embed_clicks(auxiliary)
        grid = clicks.shape[1:3]
        tokens = self._with_prefix(patches + clicks.flatten(1, 2))
        tokens = self.vit.norm_pre(tokens) if hasattr(self.vit, "norm_pre") else tokens
        rope = self._rotary_embedding(grid)
        prefix = tokens.shape[1] - grid[0] * grid[1]
        early: dict[int, Tensor] = {}
        depth = len(self.vit.blocks)
        for number, block in enumerate(self.vit.blocks, start=1):
            if self.attention == "windowed" and number % GLOBAL_EVERY and number != depth:
                tokens = torch.cat([tokens[:, :prefix], _windowed(block, tokens[:, prefix:], grid)], 1)
            else:
                tokens = block(tokens, rope=rope) if self.rotary else block(tokens)
            if number in self.early_blocks:
                early[number] = tokens[:, prefix:]
        tokens = self.vit.norm(tokens) if self.final_norm else tokens
        deep = tokens[:, prefix:].transpose(1, 2).unflatten(2, grid)
        first, second = self.early_blocks
        return (early[first], early[second]), deep

    def _rotary_embedding(self, grid: torch.Size) -> Tensor | None:
        rope: Any = self.vit.rope if isinstance(self.vit, Eva) else None  # of one of timm's several classes
        return None if rope is None else rope.get_embed(shape=list(grid))

    def _with_prefix(self, tokens: Tensor) -> Tensor:
        if not self.prefix_tokens:
            return tokens
        positions, embedded = self.vit.pos_embed, not getattr(self.vit, "no_embed_class", False)
        prefix = [getattr(self.vit, name, None) for name in ("cls_token", "reg_token")]
        joined = [token.expand(len(tokens), -1, -1) for token in prefix if token is not None]
        if not joined:
            return tokens
        head = torch.cat(joined, 1)
        if positions is not None and embedded:
            head = head + positions[:, : head.shape[1]]
        return torch.cat([head, tokens], 1)


def _windowed(block: nn.Module, tokens: Tensor, grid: torch.Size) -> Tensor:
    """Run `block` inside windows of the token grid: (B, h*w, C) -> (B, h*w, C).

    grid // 14 windows a side; a grid that they do not divide is padded with zero tokens at the bottom and right.
    """
    height, width = grid
    rows, cols = max(1, height // WINDOW_TOKENS), max(1, width // WINDOW_TOKENS)
    pad_h, pad_w = -height % rows, -width % cols
    square = tokens.unflatten(1, (height, width))
    if pad_h or pad_w:
        square = F.pad(square, (0, 0, 0, pad_w, 0, pad_h))
    batch, tall, wide, channels = square.shape
    split = square.reshape(batch, rows, tall // rows, cols, wide // cols, channels).transpose(2, 3)
    mixed = block(split.reshape(batch * rows * cols, -1, channels))
    joined = mixed.reshape(batch, rows, cols, tall // rows, wide // cols, channels).transpose(2, 3)
    return joined.reshape(batch, tall, wide, channels)[:, :height, :width].flatten(1, 2)
