"""What people hand over as an image, as the tensor that the loop takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

PIL_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")  # of 8 bits a channel


@runtime_checkable
class RasterLike(Protocol):
    """A window of a raster, as `geo.windows.RasterWindows.read` gives."""

    @property
    def image(self) -> NDArray[np.uint8]:
        """(3, H, W) RGB."""
        ...

    @property
    def nodata(self) -> NDArray[np.bool_]:
        """(H, W), pixels that hold no measurement."""
        ...


ImageLike = NDArray[np.uint8] | Image.Image | RasterLike


@dataclass(frozen=True)
class Picture:
    """An image to click on.

    Attributes:
        image: (1, 3, H, W) uint8 RGB.
        nodata: (H, W) bool, pixels that hold no measurement and belong to no object; None where all hold one.
    """

    image: Tensor
    nodata: Tensor | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.image.shape[-2], self.image.shape[-1]


def picture_of(image: ImageLike, image_format: str = "RGB", device: torch.device | str = "cpu") -> Picture:
    """The picture of an array (H, W, 3) uint8, of a PIL image of 8 bits a channel, or of a window of a raster.

    Args:
        image_format: "RGB", or "BGR" for an array with its channels in OpenCV's order.

    Raises:
        TypeError: something else. ValueError: another shape, type of values or order of channels.
    """
    if image_format not in ("RGB", "BGR"):
        raise ValueError(f"image_format is 'RGB' or 'BGR', got {image_format!r}.")
    nodata = None
    if isinstance(image, Image.Image):
        if image.mode not in PIL_MODES:
            raise ValueError(f"A PIL image of 8 bits a channel was expected, got mode {image.mode!r}. {STRETCH}")
        pixels = np.asarray(image.convert("RGB"))
    elif isinstance(image, np.ndarray):
        pixels = image[..., ::-1] if image_format == "BGR" else image
    elif isinstance(image, RasterLike):
        pixels = np.moveaxis(image.image, 0, -1)
        nodata = torch.tensor(image.nodata, device=device) if image.nodata.any() else None
    else:
        raise TypeError(
            f"An image is a NumPy array (H, W, 3) uint8 RGB, a PIL image or a window of a raster, got {type(image).__name__}."
        )
    _check(pixels)
    # a copy always: a caller who draws into its image must not change what is clicked on
    planes = torch.from_numpy(np.moveaxis(pixels, -1, 0).copy())
    return Picture(planes[None].to(device), nodata)


STRETCH = (
    "Stretch it to 8 bits first; geo.windows.RasterWindows(path).read() does so for a raster, with the same limits for all "
    "windows of the file."
)


def _check(pixels: NDArray) -> None:
    if pixels.dtype != np.uint8:
        raise ValueError(f"An image of uint8 values was expected, got {pixels.dtype}. {STRETCH}")
    if pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size:
        return
    advice = "Give all of its pixels."
    if pixels.ndim == 2:
        advice = "Repeat the band: np.stack([image] * 3, -1)."
    elif pixels.ndim == 3 and pixels.shape[0] == 3:
        advice = "Its channels come first: give image.transpose(1, 2, 0)."
    elif pixels.ndim == 3 and pixels.shape[2] > 3:
        advice = "Choose three of its channels, such as image[..., :3]."
    raise ValueError(f"An image (height, width, 3) was expected, got shape {pixels.shape}. {advice}")
