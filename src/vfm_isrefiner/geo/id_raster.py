"""`write_ids`: a GeoTIFF whose pixels hold the number of their object, written strip by strip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from vfm_isrefiner.geo.appearing import appearing
from vfm_isrefiner.geo.ground import Grid
from vfm_isrefiner.geo.opening import FAULTS, SETTINGS, quiet

STRIP = 512  # rows held at a time; also the side of the file's tiles
Box = tuple[int, int, int, int]


def write_ids(
    path: str | Path, grid: Grid, boxes: Sequence[Box], mask_of: Callable[[int], NDArray[np.bool_]]
) -> dict[int, int]:
    """Objects 1, 2, 3 ... in a raster of one band; 0, its no-data value, where none is.

    A pixel of several objects is the first one's: a later object never takes a pixel from an earlier one.

    Args:
        path: the file; one that is there is replaced.
        grid: its pixels.
        boxes: top, left, bottom, right of each object's box, the last two exclusive.
        mask_of: the index of an object, counted from 0 -> (height, width) bool of its box.

    Returns:
        How many pixels each object did not get, by its index; those that got all are not in it.

    Raises:
        OSError: it cannot be written.
    """
    height, width = grid.size
    lost: dict[int, int] = {}
    profile = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": 1,
        "dtype": "uint16" if len(boxes) < 2**16 else "uint32",
        "nodata": 0,
        "crs": grid.crs,
        "transform": grid.transform,
        "compress": "deflate",
        "bigtiff": "if_safer",
    }
    if min(height, width) >= STRIP:
        profile |= {"tiled": True, "blockxsize": STRIP, "blockysize": STRIP}
    with appearing(path, FAULTS) as temporary, rasterio.Env(**SETTINGS):
        with quiet(NotGeoreferencedWarning):  # a scene without a place is welcome
            file = rasterio.open(temporary, "w", **profile)
        with file:
            for top in range(0, height, STRIP):
                ids = np.zeros((min(STRIP, height - top), width), profile["dtype"])
                for number, box in enumerate(boxes):
                    if box[0] < top + len(ids) and box[2] > top:
                        _draw(ids, top, box, mask_of(number), number, lost)
                file.write(ids, 1, window=Window(0, top, width, len(ids)))
    return lost


def _draw(ids: NDArray, top: int, box: Box, mask: NDArray[np.bool_], number: int, lost: dict[int, int]) -> None:
    """Object `number` into the strip that begins at row `top`, where nobody is yet."""
    first, last = max(box[0], top), min(box[2], top + len(ids))
    place = ids[first - top : last - top, box[1] : box[3]]
    own = mask[first - box[0] : last - box[0]]
    taken = int(np.count_nonzero(own & (place > 0)))
    if taken:
        lost[number] = lost.get(number, 0) + taken
    place[own & (place == 0)] = number + 1
