"""Tiles of a raster in its own pixels, as PNG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from vfm_isrefiner.annotator.refusal import Refusal
from vfm_isrefiner.geo.stretch import Stretch

if TYPE_CHECKING:
    from vfm_isrefiner.annotator.scene import AnnotatedScene

TILE = 256
FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def levels_of(size: tuple[int, int]) -> int:
    """How many levels a raster of (height, width) has: the first fits into one tile, the last has all pixels."""
    return 1 + max(0, math.ceil(math.log2(max(size) / TILE)))


def tile_png(scene: AnnotatedScene, z: int, x: int, y: int, bands: Sequence[int] | None, stretch: Stretch) -> bytes:
    """The tile (z, x, y) as PNG with alpha: transparent without data and outside of the raster.

    Raises:
        Refusal: 404, there is no such tile. RasterError: the bands or the stretch do not fit the raster, or it is broken.
    """
    height, width = scene.size
    levels = levels_of(scene.size)
    step = TILE << max(0, levels - 1 - z)  # pixels of the raster along a tile's side
    if not (0 <= z < levels and 0 <= x * step < width and 0 <= y * step < height):
        raise Refusal(404, f"There is no tile {z}/{x}/{y}: levels are 0 to {levels - 1}, and tiles cover the scene alone.")
    key = (z, x, y, None if bands is None else tuple(bands), stretch)
    content = scene.kept.get(key)
    if content is None:
        content = _drawn(scene, step, x, y, bands, stretch)
        scene.kept.put(key, content)
    return content


def _drawn(scene: AnnotatedScene, step: int, x: int, y: int, bands: Sequence[int] | None, stretch: Stretch) -> bytes:
    """The tile whose sides are `step` pixels of the raster."""
    height, width = scene.size
    rows, columns = slice(y * step, min(height, (y + 1) * step)), slice(x * step, min(width, (x + 1) * step))
    with scene.readers.borrow(bands, stretch) as handle:
        found = handle.read(rows, columns, TILE / step)
    tile = np.zeros((TILE, TILE, 4), np.uint8)
    tall, wide = found.nodata.shape
    tile[:tall, :wide, :3] = np.moveaxis(found.image[::-1], 0, -1)  # OpenCV writes BGR
    tile[:tall, :wide, 3] = np.where(found.nodata, 0, 255)
    return png(tile)


def probability_png(prob: NDArray[np.float32]) -> bytes:
    """A probability map (H, W) as PNG: from blue over white to red, the more opaque the farther from doubt at 0."""
    lut = np.stack(
        [np.interp(np.arange(256), (0, 128, 255), ends) for ends in ((200, 240, 40), (90, 240, 40), (30, 240, 220))], -1
    )
    level = np.round(np.clip(prob, 0, 1) * 255).astype(np.uint8)
    alpha = np.minimum(level.astype(np.uint16) * 2, 200).astype(np.uint8)
    return png(np.dstack([lut.astype(np.uint8)[level], alpha]))


def png(pixels: NDArray[np.uint8]) -> bytes:
    """(H, W, 4) blue, green, red, alpha as a PNG file."""
    written, content = cv2.imencode(".png", pixels, FAST)
    if not written:
        raise RuntimeError(f"OpenCV did not write a PNG of {pixels.shape}.")
    return content.tobytes()
