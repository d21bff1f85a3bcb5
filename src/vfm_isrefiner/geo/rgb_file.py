"""`write_rgb`: a picture with a place as a GeoTIFF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from vfm_isrefiner.geo.appearing import appearing
from vfm_isrefiner.geo.opening import FAULTS, SETTINGS


def write_rgb(path: str | Path, image: NDArray[np.uint8], transform: Affine, epsg: int) -> None:
    """Write `image` (3, H, W) uint8 RGB; the file appears when it is complete.

    Args:
        transform: (column, row) of pixel corners to coordinates of `epsg`.

    Raises:
        OSError: it cannot be written.
    """
    bands, height, width = image.shape
    profile = {"height": height, "width": width, "count": bands, "dtype": "uint8", "photometric": "rgb", "compress": "deflate"}
    place = {"crs": CRS.from_epsg(epsg), "transform": transform}
    with (
        appearing(path, FAULTS) as temporary,
        rasterio.Env(**SETTINGS),
        rasterio.open(temporary, "w", driver="GTiff", **profile, **place) as file,
    ):
        file.write(image)
