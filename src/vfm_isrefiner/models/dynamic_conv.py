"""Dynamic convolution of Fig. 5: the mask token writes the kernel that reads the mask, eq. 7."""

from __future__ import annotations

import torch
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
        weight, bias = self._generated(token, features.dtype)
        # one group per object, so that each is read by its own kernel
        out = F.conv2d(
            features.reshape(1, batch * width, height, breadth),
            weight,
            bias,
            padding=self.kernel // 2,
            groups=batch,
        )
        return out.reshape(batch, 1, height, breadth)

    def read_upsampled(self, grid: Tensor, upsample: nn.Sequential, token: Tensor) -> Tensor:
        """What `forward` would give for `upsample(grid)`, less its bias, without computing that large map.

        F_final of eq. 5 is a sum, and eq. 7 is linear in it. Its first term TC(F'_DFC) is linear too: the kernel is carried
        back through both transposed convolutions, and F'_DFC is read at its own size.

        Args:
            grid: F'_DFC (B, C, h, w). upsample: two transposed convolutions of kernel and stride 2. token: (B, width).

        Returns:
            (B, 1, 4h, 4w).
        """
        first, second = upsample
        assert isinstance(first, nn.ConvTranspose2d), "TC is two transposed convolutions"
        assert isinstance(second, nn.ConvTranspose2d), "TC is two transposed convolutions"
        weight, _ = self._generated(token, grid.dtype)
        taps = weight.flatten(2).flip(2)  # fold counts the way from the pixel that is read, convolution the way to it
        half = torch.einsum("mqij,bqt->bmijt", second.weight, taps)
        whole = torch.einsum("cmkl,bmijt->bcklijt", first.weight, half)
        assert first.bias is not None, "as ISRefiner builds them"
        assert second.bias is not None, "as ISRefiner builds them"
        constant = torch.einsum("m,bmijt->btij", first.bias, half) + (second.bias @ taps)[:, :, None, None]
        # rows 4h + 2k + i and columns 4w + 2l + j of what each of the nine taps reads
        read = torch.einsum("bchw,bcklijt->bthkiwlj", grid, whole) + constant[:, :, None, None, :, None, None, :]
        read = read.flatten(5, 7).flatten(2, 4)
        size = (read.shape[2], read.shape[3])
        return F.fold(read.flatten(2), size, self.kernel, padding=self.kernel // 2)

    def _generated(self, token: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The kernel (B, C, k, k) and the bias (B,) that each token writes."""
        generated = self.generator(token).to(dtype)
        return generated[:, :-1].reshape(len(token), self.width, self.kernel, self.kernel), generated[:, -1]
