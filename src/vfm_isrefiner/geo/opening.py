"""Opening rasters: every fault of a file becomes a `RasterError` that names it, and memory stays bounded."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError

MAX_BYTES = 2 * 2**30  # of what one call decodes: 13,000×13,000 pixels in three bands of float32 fit
CACHE_BYTES = 16 * 2**20  # of GDAL's decoded blocks; rasterio hands the number on as bytes

SETTINGS = {
    "GDAL_CACHEMAX": CACHE_BYTES,
    "GDAL_ERROR_ON_LIBJPEG_WARNING": True,  # else the rest of a cut-off JPEG is grey
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": False,  # these two ways of reading give no error for a cut-off PNG
    "GDAL_PNG_SINGLE_BLOCK": False,
}

# What rasterio and GDAL raise for files that are broken, cut off or lie about their size.
FAULTS = (RasterioError, CRSError, CPLE_BaseError, OSError, MemoryError, UnicodeDecodeError)

_filters = Lock()  # warnings' filters belong to all threads together


class RasterError(ValueError):
    """A raster cannot be read as asked. The message names the file, what was found and what to do."""


@contextmanager
def quiet(category: type[Warning]) -> Iterator[None]:
    """Without these warnings, one thread at a time."""
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore", category)
        yield


def quiet_for_good() -> None:
    """No word of rasters without a place from this process, for servers.

    rasterio hides its warning for moments, as `quiet` does; filters belong to all threads, and FastAPI's own puts them back
    meanwhile.
    """
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)


@contextmanager
def faults_of(path: str | Path) -> Iterator[None]:
    """GDAL's settings, and its faults as `RasterError`s about `path`, around any reading of it."""
    try:
        with rasterio.Env(**SETTINGS):
            yield
    except FAULTS as error:
        reason = error.__cause__ or error  # "Read failed. See previous exception"
        raise RasterError(f"{path} cannot be read as a raster ({reason}). The file may be cut off: fetch it again.") from error


def open_raster(path: str | Path) -> rasterio.DatasetReader:
    """The dataset of `path`, to be closed by the caller. Raises `RasterError`."""
    if not os.path.isfile(path):
        raise RasterError(f"There is no file {path}. Check the path.")
    with faults_of(path), quiet(NotGeoreferencedWarning):  # a plain picture is welcome; its gsd is NaN
        dataset = rasterio.open(path)
    try:
        _check(dataset, path)
    except RasterError:
        dataset.close()
        raise
    return dataset


@contextmanager
def opened(path: str | Path) -> Iterator[rasterio.DatasetReader]:
    """The dataset of `path`. Raises `RasterError`, also for GDAL's faults in the body."""
    dataset = open_raster(path)
    try:
        with faults_of(path):
            yield dataset
    finally:
        dataset.close()


def check_bytes(path: str | Path, bands: int, height: int, width: int, dtype: str) -> None:
    """Refuse to decode more than `MAX_BYTES` at once. Raises `RasterError`."""
    size = bands * height * width * np.dtype(dtype).itemsize
    if size > MAX_BYTES:
        raise RasterError(
            f"{path}: {height}×{width} pixels (height×width) of {bands} bands of {dtype} are {size / 2**30:.1f} GiB; at most "
            f"{MAX_BYTES / 2**30:.0f} GiB are read at once. Read it in windows, or cut it into patches with isrefiner prepare."
        )


def _check(dataset: rasterio.DatasetReader, path: str | Path) -> None:
    if dataset.count == 0:
        raise RasterError(f"{path} has no band of its own. Name one of its subdatasets as a file: gdal_translate writes one.")
    if len(set(dataset.dtypes)) > 1:
        kinds = ", ".join(sorted(set(dataset.dtypes)))
        raise RasterError(f"{path} mixes bands of {kinds}; one type was expected. Convert it with gdal_translate -ot.")
    if dataset.dtypes[0].startswith("complex"):
        return  # told where its values are asked for
    for height, width in set(dataset.block_shapes):
        check_bytes(path, 1, height, width, dataset.dtypes[0])
