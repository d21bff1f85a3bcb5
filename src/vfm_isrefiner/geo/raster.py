"""`read_raster`: any raster that GDAL opens as 8-bit RGB, its no-data pixels and its ground sampling distance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from numpy.typing import NDArray

from vfm_isrefiner.geo.ground import read_grid
from vfm_isrefiner.geo.opening import RasterError, check_bytes, opened
from vfm_isrefiner.geo.stretch import Stretch
from vfm_isrefiner.geo.windows import Raster, RasterWindows

__all__ = ["Raster", "RasterError", "Stretch", "read_gsd", "read_raster", "read_size", "read_values"]


def read_raster(
    path: str | Path,
    bands: Sequence[int] | None = None,
    stretch: Stretch = "auto",
    percentiles: tuple[float, float] = (2.0, 98.0),
    stretch_folder: str | Path | None = None,
) -> Raster:
    """Read `path` as RGB.

    Args:
        path: GeoTIFF or anything else that GDAL reads.
        bands: 1-based bands for red, green and blue. None: the colours of its palette, else the bands that the file marks as
            such, else its first three; a file of one band gives it three times.
        stretch: how values become 0-255, band by band over the pixels with data. "none": as they are (8-bit files only);
            "minmax"; "percentile": linear between `percentiles`, clipped; "auto": "none" for 8-bit files, else "percentile".
            More than `stretch.SAMPLED_PIXELS` are sampled evenly.
        percentiles: lower and upper, in percent.
        stretch_folder: keeps what "minmax" and "percentile" found, for the next reading of the same file; None keeps nothing.

    Raises:
        RasterError: the file is missing, broken or too large to be read at once, has not those bands, or has values that
            `stretch` cannot map.
    """
    with RasterWindows(path, bands, stretch, percentiles, stretch_folder) as windows:
        return windows.read()


def read_values(path: str | Path) -> NDArray:
    """All bands of `path` as they are stored, (C, H, W). Raises `RasterError`."""
    with opened(path) as dataset:
        check_bytes(path, dataset.count, dataset.height, dataset.width, dataset.dtypes[0])
        return dataset.read()


def read_size(path: str | Path) -> tuple[int, int]:
    """Height and width of `path`, from its header. Raises `RasterError`."""
    return read_grid(path).size


def read_gsd(path: str | Path) -> float:
    """Ground sampling distance of `path` as in `Raster.gsd`, from its header. Raises `RasterError`."""
    return read_grid(path).gsd
