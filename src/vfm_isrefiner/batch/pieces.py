"""Small pieces and small holes of masks: how small is said in m² or in pixels, and what is left without them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from vfm_isrefiner.batch.finished import Finished
from vfm_isrefiner.geo.area import pixel_area_m2
from vfm_isrefiner.geo.ground import Grid

PIXELS = "px"
ALL = "all"


@dataclass(frozen=True)
class Area:
    """So many m², or pixels of the mask.

    Raises:
        ValueError: it is negative or no number.
    """

    value: float
    in_pixels: bool = False

    def __post_init__(self) -> None:
        if not self.value >= 0:
            raise ValueError(f"An area is at least 0, got {self.value}.")

    @classmethod
    def of(cls, text: str) -> Self:
        """ "20" is 20 m², "50px" are 50 pixels, "all" is larger than any.

        Raises:
            ValueError: it is none of these.
        """
        if text.strip().lower() == ALL:
            return cls(math.inf, True)
        number = text.strip().lower().removesuffix(PIXELS)
        try:
            value = float(number)
        except ValueError as error:
            raise ValueError(f"An area such as 20 (m²), 50px (pixels) or all was expected, got {text!r}.") from error
        return cls(value, number != text.strip().lower())

    def pixels(self, pixel: float) -> float:
        """How many pixels of `pixel` m² it is; 0 where that is unknown."""
        if self.in_pixels or not self.value:
            return self.value
        return self.value / pixel if pixel > 0 else 0.0


@dataclass(frozen=True)
class Smallest:
    """What counts as small.

    Attributes:
        piece: pieces of a mask that are smaller are dropped. hole: holes that are smaller are filled, before that.
    """

    piece: Area = Area(0)
    hole: Area = Area(0)

    def check(self, grid: Grid) -> None:
        """Raise `ValueError` where an area in m² is asked of a scene that lies nowhere on the ground."""
        for option, area in (("--min-area", self.piece), ("--fill-holes", self.hole)):
            if area.value > 0 and not area.in_pixels and math.isnan(_pixel(grid, (0, 0))):
                raise ValueError(
                    f"{option} {area.value:g} is in m², and the scene does not say where it lies on the ground. "
                    f"Give pixels: {option} {area.value:g}{PIXELS}."
                )

    def without(self, one: Finished, grid: Grid) -> Finished:
        """`one` without what is small; it may be empty then."""
        if not one.counts or not (self.piece.value or self.hole.value):
            return one
        top, left = one.corner
        pixel = math.nan
        if not (self.piece.in_pixels and self.hole.in_pixels):
            pixel = _pixel(grid, (top + one.size[0] // 2, left + one.size[1] // 2))
        piece, hole = self.piece.pixels(pixel), self.hole.pixels(pixel)
        return Finished.of(one.name, without_small(one.mask, piece, hole), one.corner, one.score, one.clicks, one.cut)


def without_small(mask: NDArray[np.bool_], piece: float, hole: float) -> NDArray[np.bool_]:
    """`mask` (H, W) with holes under `hole` pixels filled, and then without pieces under `piece` pixels.

    As in polygons, pixels that touch by a corner alone are two pieces; holes that do are one.
    """
    if hole > 0:
        # a ring of background joins all that is outside
        number, sizes = _numbered(np.pad(~mask, 1, constant_values=True), 8)
        sizes[number[0, 0]] = math.inf
        mask = mask | (~mask & (sizes < hole)[number[1:-1, 1:-1]])
    if piece > 0:
        number, sizes = _numbered(mask, 4)
        mask = mask & (sizes >= piece)[number]
    return mask


def _numbered(area: NDArray[np.bool_], connectivity: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The number of each pixel's component, 0 where none is, and the size of each component in pixels."""
    _, number, stats, _ = cv2.connectedComponentsWithStats(area.astype(np.uint8), connectivity=connectivity)
    return np.asarray(number, np.int32), stats[:, cv2.CC_STAT_AREA].astype(np.float64)


def _pixel(grid: Grid, at: tuple[int, int]) -> float:
    return pixel_area_m2(grid.transform, grid.crs, at)
