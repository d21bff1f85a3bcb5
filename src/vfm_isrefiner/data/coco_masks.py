"""Segmentations of COCO annotations to masks: polygons, run lengths as numbers and as text.

pycocotools trusts what it draws: run lengths that overflow their image and polygons of endless length take all memory or end
the process. Everything is checked before it gets there.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as rle_codec
from torch import Tensor

from vfm_isrefiner.data.errors import DataError

LONGEST_OUTLINE = 2_000_000  # pixels along all edges of a polygon; drawing takes about 100 bytes for each


def check_shape(annotation: dict[str, Any], size: tuple[int, int], file: Path) -> None:
    """Raise `DataError` where the segmentation is of another size than its image or is no area at all. Draws nothing."""
    shape = annotation["segmentation"]
    where = f"{file}: annotation {annotation['id']}"
    if isinstance(shape, dict):
        if tuple(shape["size"]) != size:
            raise DataError(
                f"{where} has a mask of {shape['size']} (height, width) for an image of {list(size)}. "
                "Export it again from this image."
            )
        if isinstance(shape["counts"], list) and sum(shape["counts"]) != size[0] * size[1]:
            total, pixels = sum(shape["counts"]), size[0] * size[1]
            raise DataError(
                f"{where} has run lengths of {total} pixels for an image of {pixels}. Export it again from this image."
            )
    elif not _are_polygons(shape):
        raise DataError(f"{where} has no polygon of three points or more, written x, y, x, y, … Correct or remove it.")


def measured(annotation: dict[str, Any], size: tuple[int, int], file: Path) -> tuple[float, list[float]]:
    """Area and (x, y, width, height) of an annotation that does not say both. The box of polygons holds their corners.

    Raises:
        DataError: it cannot be drawn.
    """
    run_lengths = _run_lengths(annotation, size, file)
    area, shape = float(rle_codec.area(run_lengths)), annotation["segmentation"]
    if isinstance(shape, dict):
        return area, rle_codec.toBbox(run_lengths).tolist()
    points = np.concatenate([np.asarray(polygon, float).reshape(-1, 2) for polygon in shape if len(polygon) >= 6])
    (left, top), (right, bottom) = np.floor(points.min(0)), np.ceil(points.max(0))
    return area, [left, top, right - left, bottom - top]


def drawn(annotations: Iterable[dict[str, Any]], size: tuple[int, int], file: Path) -> Tensor:
    """The union of `annotations`, (1, H, W) bool. Raises `DataError` where one cannot be drawn."""
    mask = torch.zeros(1, *size, dtype=torch.bool)
    for annotation in annotations:
        run_lengths = _run_lengths(annotation, size, file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools' arrays and numpy 2
            mask |= torch.from_numpy(rle_codec.decode(run_lengths)).bool()[None]
    return mask


def counts_of(text: str | bytes) -> NDArray[np.int64]:
    """The numbers in compressed run lengths: 5 bits a character, a sign, and from the third on differences to the last but one.

    Raises:
        ValueError: a character is none of theirs, the text ends inside of a number, or a number has more than 50 bits.
    """
    codes = np.frombuffer(text.encode("ascii") if isinstance(text, str) else text, np.uint8).astype(np.int64) - 48
    if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < 64:
        raise ValueError("a character that run lengths never have")
    ends = np.flatnonzero(codes & 32 == 0)
    if codes.size and (not ends.size or ends[-1] != codes.size - 1):
        raise ValueError("run lengths that end inside of a number")
    starts = np.r_[0, ends[:-1] + 1]
    place = np.arange(codes.size) - np.repeat(starts, ends - starts + 1)
    if place.size and int(place.max()) > 9:
        raise ValueError("a run length of more than 50 bits")
    numbers = np.add.reduceat((codes & 31) << 5 * place, starts) if codes.size else codes
    numbers -= np.where(codes[ends] & 16, 1 << 5 * (place[ends] + 1), 0)
    for parity in (1, 2):  # number i > 2 is the difference to number i - 2
        numbers[parity::2] = numbers[parity::2].cumsum()
    return numbers


def _are_polygons(shape: Any) -> bool:
    return (
        isinstance(shape, list)
        and all(isinstance(polygon, list) and len(polygon) % 2 == 0 for polygon in shape)
        and any(len(polygon) >= 6 for polygon in shape)
    )


def _run_lengths(annotation: dict[str, Any], size: tuple[int, int], file: Path) -> dict[str, Any]:
    """pycocotools' compressed form of any segmentation; polygon parts of fewer than three points cover nothing: left out."""
    shape = annotation["segmentation"]
    try:
        if isinstance(shape, dict):
            return _filling(shape["counts"], size)
        return _outlined([polygon for polygon in shape if len(polygon) >= 6], size)
    except Exception as error:  # pycocotools raises bare exceptions of many kinds, as do numbers of the wrong type
        raise DataError(f"{file}: annotation {annotation['id']} cannot be drawn ({error}). Correct or remove it.") from error


def _filling(counts: Any, size: tuple[int, int]) -> dict[str, Any]:
    """Run lengths that fill the image exactly."""
    if isinstance(counts, list):
        if not all(type(count) is int for count in counts):
            raise ValueError("run lengths that are no whole numbers")
        numbers = np.asarray(counts, np.int64)
    else:
        numbers = counts_of(counts)
    pixels = size[0] * size[1]
    if (numbers.size and not 0 <= int(numbers.min()) <= int(numbers.max()) <= pixels) or int(numbers.sum()) != pixels:
        raise ValueError(f"run lengths that do not fill {size[0]}×{size[1]} pixels, height×width")
    if isinstance(counts, list):
        return rle_codec.frPyObjects({"size": list(size), "counts": counts}, *size)
    return {"size": list(size), "counts": counts}


def _outlined(polygons: list[list[float]], size: tuple[int, int]) -> dict[str, Any]:
    """The union of polygons, whose corners lie at most one image beside the image."""
    length = 0.0
    for polygon in polygons:
        points = np.asarray(polygon, np.float64).reshape(-1, 2)
        if not np.isfinite(points).all():
            raise ValueError("a corner that is no finite number")
        low, high = points.min(0), points.max(0)
        if low[0] < -size[1] - 1 or low[1] < -size[0] - 1 or high[0] > 2 * size[1] + 1 or high[1] > 2 * size[0] + 1:
            raise ValueError(f"a corner far outside of its image of {size[0]}×{size[1]} pixels, height×width")
        length += float(np.abs(np.diff(points, axis=0, append=points[:1])).max(1).sum())
    if length > LONGEST_OUTLINE:
        raise ValueError(f"an outline of {math.ceil(length):,} pixels; {LONGEST_OUTLINE:,} are the limit")
    return rle_codec.merge(rle_codec.frPyObjects(polygons, *size))
