"""A scene of many equal squares, each of which the network of colours finds by itself."""

import numpy as np
import rasterio
from batch_scenes import GRIDS

STEP, SIDE = 16, 8


def write_squares(path, side=256, grid="utm"):
    """(side, side) pixels; square n is at `middle(n)`."""
    image = np.full((3, side, side), 20, np.uint8)
    inside = np.arange(side) % STEP < SIDE
    image[:, inside[:, None] & inside] = 200
    transform, crs = GRIDS[grid]
    profile = {"height": side, "width": side, "count": 3, "dtype": "uint8", "crs": crs, "transform": transform}
    with rasterio.open(path, "w", driver="GTiff", **profile) as file:
        file.write(image)
    return path


def count(side=256):
    """How many squares there are."""
    return (side // STEP) ** 2


def middle(number, side=256):
    """x, y of a pixel in square `number`."""
    row, column = divmod(number % count(side), side // STEP)
    return column * STEP + SIDE // 2, row * STEP + SIDE // 2
