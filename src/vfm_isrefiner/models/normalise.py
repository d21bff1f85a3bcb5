"""What every network does to its input image: channel order, ImageNet statistics, padding to whole patches."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Normalise(nn.Module):
    """RGB in [0, 1] -> zero mean, unit variance by the ImageNet statistics.

    `channel_order="bgr"` hands the channels over in reverse before the (RGB) statistics apply: the released
    VFM-ISRefiner weights were trained so, because its loaders never swap OpenCV's order.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channel_order: str = "rgb") -> None:
        super().__init__()
        if channel_order not in ("rgb", "bgr"):
            raise ValueError(f"channel_order is 'rgb' or 'bgr', got {channel_order!r}.")
        self.channel_order = channel_order
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) float RGB in [0, 1] -> normalised (B, 3, H, W).

        Raises:
            ValueError: the image is not float with three channels.
        """
        if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point():
            raise ValueError(
                f"A network takes float RGB in [0, 1] of shape (B, 3, H, W), got {image.dtype} {tuple(image.shape)}."
            )
        image = image.flip(1) if self.channel_order == "bgr" else image
        return (image - self.mean) / self.std


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Zeros at the bottom and right until both sides divide by `multiple`; nothing is copied where they do already."""
    pad_h, pad_w = -x.shape[-2] % multiple, -x.shape[-1] % multiple
    return F.pad(x, (0, pad_w, 0, pad_h)) if pad_h or pad_w else x
