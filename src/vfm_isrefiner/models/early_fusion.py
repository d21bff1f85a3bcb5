"""Early feature fusion, eq. 1, and the other choices of Table VII."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GatedFusion(nn.Module):
    """Eq. 1: w = sigmoid(W concat(F¹, F²) + b); F_early = w F¹ + (1 - w) F², channel by channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * width, width)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Two (B, N, C) token sequences -> (B, N, C)."""
        weight = torch.sigmoid(self.gate(torch.cat([first, second], -1)))
        return weight * first + (1 - weight) * second


class FixedFusion(nn.Module):
    """F_early = w F¹ + (1 - w) F² with a constant w: 0.5 the fixed fusion, 1 the first block, 0 the second (Table VII)."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Two (B, N, C) token sequences -> (B, N, C)."""
        return self.weight * first + (1 - self.weight) * second
