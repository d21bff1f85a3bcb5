"""From stored values to 0-255: limits found once an image, and a folder that keeps them."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rasterio import DatasetReader

from vfm_isrefiner.files import write_whole
from vfm_isrefiner.geo.opening import RasterError

Stretch = Literal["auto", "none", "minmax", "percentile"]

SAMPLED_PIXELS = 1_000_000  # limits of a larger image are taken from an even grid of at most so many
PIECE_PIXELS = 2**20  # stretched at a time, as float64

_writing = Lock()  # two threads would give their temporary files one name


@dataclass(frozen=True)
class Limits:
    """The values that become 0 (`low`) and 255 (`high`), for red, green and blue."""

    low: tuple[float, ...]
    high: tuple[float, ...]


def nodata_of(values: NDArray, mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(H, W) bool: what `mask` (0: no data) leaves out, and pixels (C, H, W) that are not finite in every band."""
    missing: NDArray[np.bool_] = mask == 0
    return missing | ~np.isfinite(values).all(0) if values.dtype.kind == "f" else missing


def find_limits(dataset: DatasetReader, bands: Sequence[int], percentiles: tuple[float, float]) -> Limits:
    """The `percentiles` of each of `bands` over the pixels with data; (0, 0) for a band without any.

    An image of more than `SAMPLED_PIXELS` is read decimated: from its overviews where it has them, and never whole.
    """
    step = math.ceil(math.sqrt(max(1.0, dataset.height * dataset.width / SAMPLED_PIXELS)))
    shape = (max(1, dataset.height // step), max(1, dataset.width // step))
    distinct = sorted(set(bands))
    values = dataset.read(distinct, out_shape=(len(distinct), *shape))
    known = ~nodata_of(values, dataset.dataset_mask(out_shape=shape))
    if not known.any():
        return Limits((0.0,) * len(bands), (0.0,) * len(bands))
    ends = {band: np.percentile(one[known], percentiles) for band, one in zip(distinct, values, strict=True)}
    return Limits(tuple(float(ends[band][0]) for band in bands), tuple(float(ends[band][1]) for band in bands))


def stretched(values: NDArray, nodata: NDArray[np.bool_], limits: Limits) -> NDArray[np.uint8]:
    """Values (C, H, W) as 0-255, clipped, linear between the limits of their band; 0 without data and where these agree."""
    out = np.zeros(values.shape, np.uint8)
    step = max(1, PIECE_PIXELS // values.shape[2])
    for band, low, high, to in zip(values, limits.low, limits.high, out, strict=True):
        if not high > low:
            continue
        for row in range(0, len(band), step):
            piece = slice(row, row + step)
            with np.errstate(invalid="ignore", over="ignore"):  # infinite values are no data
                scaled = (band[piece].astype(np.float64) - low) * (255.0 / (high - low))
            to[piece] = np.where(nodata[piece], 0, np.clip(np.nan_to_num(scaled), 0, 255).round())
    return out


def stored_limits(
    dataset: DatasetReader,
    bands: Sequence[int],
    percentiles: tuple[float, float],
    folder: str | Path | None,
) -> Limits:
    """`find_limits`, kept in `folder` as a small JSON file; None keeps nothing.

    What is kept is used while the image's path, size, time of change, bands and percentiles are the same; else it is found
    again. Both ways give the same bits.

    Raises:
        RasterError: `folder` cannot be written.
    """
    if folder is None:
        return find_limits(dataset, bands, percentiles)
    image = os.path.abspath(dataset.name)
    state = os.stat(image)
    key = {
        "image": image,
        "bytes": state.st_size,
        "changed_ns": state.st_mtime_ns,
        "bands": list(bands),
        "percentiles": [float(value) for value in percentiles],
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    file = Path(folder) / f"{Path(image).stem[:100]}-{digest[:16]}.json"
    limits = _kept(file, key)
    if limits is None:
        limits = find_limits(dataset, bands, percentiles)
        content = json.dumps({**key, "low": limits.low, "high": limits.high}, indent=1)
        try:
            with _writing:
                write_whole(file, content.encode())
        except OSError as error:
            raise RasterError(
                f"The stretch of {image} was not kept: {error} Name a stretch_folder that is writable."
            ) from error
    return limits


def _kept(file: Path, key: dict[str, Any]) -> Limits | None:
    """What `file` holds for `key`; None where it is missing, damaged or of another image."""
    try:
        content = json.loads(file.read_bytes())
        low, high = (tuple(float(value) for value in content[name]) for name in ("low", "high"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    fits = all(content.get(name) == value for name, value in key.items()) and len(low) == len(high) == len(key["bands"])
    return Limits(low, high) if fits and np.isfinite([*low, *high]).all() else None
