"""`isaid_scenes`: the images of iSAID read window by window, of bounded memory at 13,000 px a side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfm_isrefiner.data.cache import DecodedCache
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.isaid import NAMES, Files, check_size, class_map, isaid_files
from vfm_isrefiner.data.pictures import read_picture
from vfm_isrefiner.data.scenes import Cut, Scene, objects_of
from vfm_isrefiner.geo.opening import RasterError
from vfm_isrefiner.geo.raster import read_size
from vfm_isrefiner.geo.rows import RollingRows


def isaid_scenes(root: str | Path, split: str = "train", leave_out: Sequence[str] = ()) -> list[Scene]:
    """The images of `ISAID`, cut from full-width rows that are decoded as windows move down: about 0.2 GB for windows of 800
    rows of 13,000 × 13,000 px. Only headers are read before. Arguments and errors are the same."""
    cache = DecodedCache(0)
    return [ISAIDScene(name, files, split, cache) for name, files in isaid_files(root, split, leave_out).items()]


@final
class ISAIDScene(Scene):
    """One image; the scenes of a list share a cache that keeps the last one open."""

    def __init__(self, name: str, files: Files, split: str, cache: DecodedCache) -> None:
        self.name, self.split, self.gsd = name, split, float("nan")
        self.files, self.cache = files, cache
        try:
            self.size = read_size(files[0])
        except RasterError as error:
            raise DataError(str(error)) from error

    def cut(self, rows: slice, columns: slice) -> Cut:
        try:
            opened: _OpenScene = self.cache.get(self.name, lambda: _OpenScene(self.files, self.size))
            image, instance, semantic = opened.window(rows, columns)
        except RasterError as error:
            raise DataError(str(error)) from error
        classes = None if semantic is None else class_map(semantic)
        return Cut(torch.from_numpy(image), objects_of(instance, {} if classes is None else NAMES, classes))


@final
class _OpenScene:
    """The open files of a scene, and the rows that were asked for last."""

    nbytes = 1  # a cache without a budget keeps the newest

    def __init__(self, files: Files, size: tuple[int, int]) -> None:
        self.image, self.instance = RollingRows(files[0]), RollingRows(files[1])
        self.semantic = None if files[2] is None else RollingRows(files[2])
        for kind, file in (("instance", self.instance), ("semantic", self.semantic)):
            if file is not None:
                check_size(kind, files[0], size, file.size)
        # One band may be grey or a palette, which GDAL gives as indices. No image of iSAID is known to have one.
        self.whole = read_picture(files[0]).image.numpy() if self.image.count < 3 else None
        self.at = (-1, -1)
        self.bands: list[NDArray | None] = []

    def window(self, rows: slice, columns: slice) -> tuple[NDArray[np.uint8], Tensor, Tensor | None]:
        """Image (3, n, m), instance colours and class colours (n, m) as 24-bit numbers."""
        if self.at != (rows.start, rows.stop):  # windows side by side share their rows
            files = (self.image if self.whole is None else None, self.instance, self.semantic)
            self.bands = [None if file is None else file.rows(rows.start, rows.stop) for file in files]
            self.at = (rows.start, rows.stop)
        image, instance, semantic = (None if band is None else band[:, :, columns] for band in self.bands)
        if image is None:
            assert self.whole is not None
            image = self.whole[:, rows, columns]
        elif image.dtype != np.uint8:
            raise DataError(f"{self.image.path} holds {image.dtype} values; 8-bit RGB was expected. Fetch it again.")
        assert instance is not None
        numbers = _numbers(instance, self.instance.path)
        if semantic is None or self.semantic is None:
            return image[:3].copy(), numbers, None
        return image[:3].copy(), numbers, _numbers(semantic, self.semantic.path)


def _numbers(band: NDArray, path: str | Path) -> Tensor:
    """R + 256 G + 65536 B of (3 or 4, n, m) uint8 as int32; one band gives its values."""
    if band.dtype == np.uint8 and len(band) in (3, 4):
        red, green, blue = band[:3].astype(np.int32)
        return torch.from_numpy(red + 256 * green + 65536 * blue)
    if band.dtype.kind == "u" and band.dtype.itemsize < 4 and len(band) == 1:
        return torch.from_numpy(band[0].astype(np.int32))
    raise DataError(f"The mask {path} has {len(band)} bands of {band.dtype}; 8-bit RGB was expected. Fetch it again.")
