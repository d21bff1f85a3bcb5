"""`RollingRows`: full-width bands of rows of a raster, asked for from top to bottom."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import final

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from vfm_isrefiner.geo.opening import RasterError, check_bytes, faults_of, open_raster

# A piece is decoded for all bands together while GDAL's cache holds its rows: a PNG is never decoded twice for its channels.
PIECE_BYTES = 8 * 2**20


@final
class RollingRows:
    """Reads bands of rows and keeps the last one.

    A PNG or JPEG is decoded only forwards. Rows that the next band shares with the last one are taken from it, so a file whose
    bands are asked for from top to bottom is decoded once, however they overlap. A band that starts above the last one opens
    the file again. Memory: one band, used again for every band (interlaced files: GDAL decodes them whole).

    Not for several threads at once; pickling opens the file again.

    Args:
        path: whatever GDAL reads.

    Attributes:
        size: (height, width).
        count: number of bands.
        dtype: of the values as stored.

    Raises:
        RasterError: the file is missing or broken.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self._dataset = open_raster(path)
        self.size: tuple[int, int] = (self._dataset.height, self._dataset.width)
        self.count: int = self._dataset.count
        self.dtype: np.dtype = np.dtype(self._dataset.dtypes[0])
        self._start = 0
        self._kept: NDArray = self._nothing()
        self._buffer: NDArray = self._nothing()

    def rows(self, start: int, stop: int) -> NDArray:
        """Rows `start` to `stop` (exclusive) as stored, (C, stop - start, W).

        The array is what the next band is made from and read into: do not write into it, and copy what is to outlive the next
        call.

        Raises:
            RasterError: the rows are outside of the raster, more than fits, or cannot be read.
        """
        height, width = self.size
        if not 0 <= start < stop <= height:
            raise RasterError(f"{self.path} has rows 0 to {height}; rows {start} to {stop} were asked. Ask for rows inside.")
        check_bytes(self.path, self.count, stop - start, width, self.dtype.name)
        if start < self._start:
            self.close()
            self._dataset = open_raster(self.path)
        known = self._kept[:, start - self._start :][:, : stop - start]
        with faults_of(self.path):
            if self._buffer.shape[1] < stop - start:
                self._buffer = np.empty((self.count, stop - start, width), self.dtype)
            band = self._buffer[:, : stop - start]
            shared = known.shape[1]
            band[:, :shared] = known
            self._kept, self._start = band[:, :shared], start  # all that is sure, should the rest be unreadable
            self._decode(band, start, start + shared)
        self._kept = band
        return band

    def _decode(self, band: NDArray, first: int, start: int) -> None:
        """Fill rows `start` and later of `band`, whose first row is row `first` of the raster."""
        width, stop = self.size[1], first + band.shape[1]
        step = max(1, PIECE_BYTES // (self.count * width * self.dtype.itemsize))
        for row in range(start, stop, step):
            end = min(row + step, stop)
            band[:, row - first : end - first] = self._dataset.read(window=Window(0, row, width, end - row))

    def _nothing(self) -> NDArray:
        return np.empty((self.count, 0, self.size[1]), self.dtype)

    def close(self) -> None:
        """Close the file and drop what is kept."""
        self._dataset.close()
        self._start, self._kept, self._buffer = 0, self._nothing(), self._nothing()

    def __enter__(self) -> RollingRows:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[RollingRows], tuple[str | Path]]:
        return RollingRows, (self.path,)
