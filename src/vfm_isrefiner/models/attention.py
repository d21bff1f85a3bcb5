"""Multi-head attention between two token sequences, with keys and values that can be projected once and kept."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


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
            projected = self.project(source)
        key, value = projected.chunk(2, dim=-1)
        if key.shape[1] == 1:  # softmax over one key is 1: every query reads the one value
            return self.out_proj(value).expand(-1, query.shape[1], -1)
        query = F.linear(query, self.in_proj.weight[: self.width], self.in_proj.bias[: self.width])
        mixed = F.scaled_dot_product_attention(self._split(query), self._split(key), self._split(value))
        return self.out_proj(mixed.transpose(1, 2).flatten(2))

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)
