"""Dynamic convolution of Fig. 5: the mask token writes the kernel that reads the mask, eq. 7."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class DynamicConv(nn.Module):
    """[w, b] = MLP(Q_final); M_seg = w * F_final + b, with one 3x3 kernel per object.

    Args:
        width: channels of F_final and of Q_final (192 in the paper).
        kernel: side of the kernel.
    """

    def __init__(self, width: int, kernel: int = 3) -> None:
        super().__init__()
        self.width, self.kernel = width, kernel
        self.generator = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width * kernel**2 + 1))

    def forward(self, features: Tensor, token: Tensor) -> Tensor:
        """`features` (B, C, h, w), `token` (B, C) -> logits (B, 1, h, w)."""
        batch, width, height, breadth = features.shape
        generated = self.generator(token).to(features.dtype)
        weight = generated[:, :-1].reshape(batch, width, self.kernel, self.kernel)
        # one group per object, so that each is read by its own kernel
        out = F.conv2d(
            features.reshape(1, batch * width, height, breadth),
            weight,
            generated[:, -1],
            padding=self.kernel // 2,
            groups=batch,
        )
        return out.reshape(batch, 1, height, breadth)
