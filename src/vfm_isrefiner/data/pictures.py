"""Files to tensors: pictures as RGB and masks as maps of ids; every fault becomes a `DataError` that names the file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.geo.raster import RasterError, Stretch, read_raster, read_values
from vfm_isrefiner.geo.raster import read_gsd as read_raster_gsd
from vfm_isrefiner.geo.raster import read_size as read_raster_size

RASTER_SUFFIXES = (".tif", ".tiff", ".jp2", ".vrt")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", *RASTER_SUFFIXES)
EIGHT_BIT = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr")

MAX_PIXELS = 2**28  # 16,384 × 16,384; the largest published scenes, DOTA's, reach 13,000 × 13,000
# PIL warns of 89 megapixels and refuses 179; what we read is limited by `MAX_PIXELS` alone.
Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, MAX_PIXELS)

# Told by content, not by name. PIL's other formats are left to PIL: one of them starts Ghostscript.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
# A file of these that declares more pixels is cut off or lies; GDAL takes what is missing of a TIFF for 0.
PIXELS_PER_BYTE = 8 * 1032  # deflate packs 1,032 to 1, of pixels of one bit
FREE_PIXELS = 2**24  # small enough to be decoded whatever the file's size
PACKED = ("PNG", "JPEG", "BMP", "GIF", ".tif", ".tiff")


@dataclass(frozen=True)
class Picture:
    """A decoded image.

    Attributes:
        image: (3, H, W) uint8 RGB.
        nodata: (1, H, W) bool, or None where every pixel has data.
        gsd: metres per pixel, NaN where unknown.
    """

    image: Tensor
    nodata: Tensor | None = None
    gsd: float = float("nan")

    @property
    def nbytes(self) -> int:
        return self.image.nbytes + (0 if self.nodata is None else self.nodata.nbytes)


def read_picture(path: Path, bands: Sequence[int] | None = None, stretch: Stretch = "auto") -> Picture:
    """The picture of `path`: geodata formats and more than 8 bit through rasterio (`bands`, `stretch`: see `read_raster`), else
    PIL.

    Transparency of a PNG is dropped, and the orientation tag of a JPEG is not obeyed: masks are drawn on the stored pixels.

    Raises:
        DataError: the file is missing, unreadable or larger than `MAX_PIXELS`.
    """
    if path.suffix.lower() not in RASTER_SUFFIXES:
        with _opened(path) as file:
            if file.mode in EIGHT_BIT:
                pixels = np.array(file if file.mode == "RGB" else file.convert("RGB"))
                return Picture(torch.from_numpy(pixels).permute(2, 0, 1).contiguous())
    try:
        _check_pixels(path, *read_raster_size(path), path.suffix.lower())
        raster = read_raster(path, bands, stretch)
    except RasterError as error:
        raise DataError(str(error)) from error
    nodata = torch.from_numpy(raster.nodata)[None] if raster.nodata.any() else None
    return Picture(torch.from_numpy(raster.image), nodata, raster.gsd)


def read_ids(path: Path) -> Tensor:
    """The values of a mask file, (H, W): uint8 where the file has 8 bit, else int32.

    One band gives its values (a palette's indices, 0/1 for 1 bit); three 8-bit bands give 24-bit ids, R + 256 G + 65536 B, in
    full precision.

    Raises:
        DataError: the file is missing, unreadable or larger than `MAX_PIXELS`, or its values are no ids.
    """
    values = _values(path)
    if values.ndim == 3 and values.shape[-1] in (3, 4) and values.dtype == np.uint8:
        wide = values.astype(np.int32)
        return torch.from_numpy(wide[..., 0] + 256 * wide[..., 1] + 65536 * wide[..., 2])
    if values.ndim == 3 and values.shape[-1] <= 2:
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "uib":
        raise DataError(
            f"The mask {path} has {values.dtype} values of shape {values.shape}; one integer band or 8-bit RGB was expected. "
            "Write it again as one band of ids."
        )
    if values.dtype in (np.uint8, np.bool_):
        return torch.from_numpy(np.ascontiguousarray(values.astype(np.uint8)))
    if values.size and not 0 <= int(values.min()) <= int(values.max()) < 2**31:
        raise DataError(
            f"The mask {path} has values from {values.min()} to {values.max()}; ids are 0 to 2³¹-1. Write it again as 16 bit."
        )
    return torch.from_numpy(values.astype(np.int32))


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture, from its header. Raises `DataError`."""
    try:
        if path.suffix.lower() in RASTER_SUFFIXES:
            return read_raster_size(path)
        with _opened(path) as file:
            return file.height, file.width
    except RasterError as error:
        raise DataError(str(error)) from error


def read_gsd(path: Path) -> float:
    """Metres per pixel of a file of geodata, from its header; NaN of any other. Raises `DataError`."""
    if path.suffix.lower() not in RASTER_SUFFIXES:
        return math.nan
    try:
        return read_raster_gsd(path)
    except RasterError as error:
        raise DataError(str(error)) from error


def unreadable(path: Path, error: Exception) -> DataError:
    """The fault of one file, with what to do."""
    if not path.exists():
        return DataError(f"There is no file {path}. Check that the set was unpacked completely.")
    return DataError(f"{path} cannot be read as an image ({error}). The file may be cut off: fetch it again.")


def _values(path: Path) -> NDArray:
    """(H, W) or (H, W, C), as stored."""
    try:
        if path.suffix.lower() in RASTER_SUFFIXES:
            _check_pixels(path, *read_raster_size(path), path.suffix.lower())
            bands = read_values(path)
            return bands[0] if len(bands) == 1 else np.moveaxis(bands, 0, -1)
        with _opened(path) as file:
            return np.array(file)
    except RasterError as error:
        raise DataError(str(error)) from error


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The file in PIL, of a size that may be decoded; what goes wrong with it in the `with` is a `DataError`."""
    try:
        with Image.open(path, formats=FORMATS) as file:
            _check_pixels(path, file.height, file.width, file.format or "")
            yield file
    except (DataError, RasterError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(_too_large(path, str(error))) from error
    except Exception as error:  # PIL raises errors of many kinds for files that are cut off or no picture at all
        raise unreadable(path, error) from error


def _check_pixels(path: Path, height: int, width: int, form: str) -> None:
    """Refuse to decode what memory may not hold, or what the file cannot; `form` is PIL's name or the suffix."""
    if height * width > MAX_PIXELS:
        raise DataError(_too_large(path, f"{height}×{width} pixels, height×width"))
    size = path.stat().st_size
    if form in PACKED and height * width > max(FREE_PIXELS, PIXELS_PER_BYTE * size):
        raise unreadable(path, EOFError(f"{size} bytes cannot hold {height}×{width} pixels, height×width"))


def _too_large(path: Path, what: str) -> str:
    return (
        f"{path} is too large to be decoded whole ({what}); {MAX_PIXELS:,} pixels are the limit. "
        "Check that its header is not broken; else cut it into tiles."
    )
