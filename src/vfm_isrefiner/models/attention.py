"""Multi-head attention between two token sequences, with keys and values that can be projected once and kept."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vfm_isrefiner.models.forms import fast


class CrossAttention(nn.Module):
    """CA(query, source) of eq. 2-6: `width` channels, `heads` heads.

    `project(source)` gives the keys and values, so that a source which does not change from click to click (F_IFE) is
    projected once per image. Query, key and value weights lie in one `in_proj`, in this order.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"CrossAttention: width {width} does not divide into {heads} heads; take a multiple of {heads}.")
        self.width, self.heads = width, heads
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj.weight)
        nn.init.zeros_(self.in_proj.bias)
        nn.init.zeros_(self.out_proj.bias)

    def project(self, source: Tensor) -> Tensor:
        """(B, M, C) -> keys and values side by side, (B, M, 2C)."""
        return F.linear(source, self.in_proj.weight[self.width :], self.in_proj.bias[self.width :])

    def forward(self, query: Tensor, source: Tensor | None = None, *, projected: Tensor | None = None) -> Tensor:
        """`query` (B, N, C) attends to `source` (B, M, C), or to `projected` (B, M, 2C) from `project`; (B, N, C)."""
        if projected is None:
            if source is None:
                raise ValueError("CrossAttention needs a source (B, M, C) or its projection; got neither.")
            if query.shape[1] == 1 and source.shape[1] > 1 and fast():
                return self._one_query(query, source)
            projected = self.project(source)
        key, value = projected.chunk(2, dim=-1)
        if key.shape[1] == 1:  # softmax over one key is 1: every query reads the one value
            return self.out_proj(value).expand(-1, query.shape[1], -1)
        query = F.linear(query, self.in_proj.weight[: self.width], self.in_proj.bias[: self.width])
        mixed = F.scaled_dot_product_attention(self._split(query), self._split(key), self._split(value))
        return self.out_proj(mixed.transpose(1, 2).flatten(2))

    def _one_query(self, query: Tensor, source: Tensor) -> Tensor:
        """The same for one query token, whose heads look at `source` itself.

        q · (K f) = (Kᵀ q) · f, and the values' projection commutes with the weighted mean, so that one token is projected
        instead of M. The keys' bias adds alike to all scores of a head, which softmax does not see.
        """
        query_weight, key_weight, value_weight = self.in_proj.weight.chunk(3)
        query_bias, _, value_bias = self.in_proj.bias.chunk(3)
        asked = F.linear(query, query_weight, query_bias).unflatten(-1, (self.heads, -1))
        depth = asked.shape[-1]
        asked = torch.einsum("bnhd,hdc->bnhc", asked, key_weight.unflatten(0, (self.heads, depth)))
        seen = source[:, None]  # the heads' questions take the place of the queries
        mixed = F.scaled_dot_product_attention(asked.to(seen.dtype), seen, seen, scale=depth**-0.5)
        value = torch.einsum("bnhc,hdc->bnhd", mixed, value_weight.unflatten(0, (self.heads, depth)))
        return self.out_proj(value.flatten(2) + value_bias)

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)
