"""The plan of a synthetic scene: what lies where, in painter's order; and the id map, which needs no colour."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from vfm_isrefiner.data.synthetic.shapes import Ring, Shape

Colour = NDArray[np.float64]
"""(3,) red, green, blue from 0 to 1."""

FULL = 240
"""Coverage of a pixel that lies wholly inside: 16 samples of 15, so that every share is a whole number."""

IGNORE = -1
MIN_VISIBLE = 12  # pixels; what shows less of itself is too small to click on

SHIFT = 4  # corners are given to OpenCV in 1/16 of a sample


@dataclass(frozen=True)
class Mark:
    """One piece of paint.

    Attributes:
        shape: where.
        colour: its colour; a shadow's is what light is left per channel.
        category: class of the instance whose visible mask this is, "" for none.
        hides: takes the pixels of the instances below it. Paint on an object (windows, lanes) and light (shadows) do not.
        shadow: multiplies what is below, instead of covering it.
        contrast: strength of the pixel-sized texture.
        mottle: strength of the texture of many pixels.
        stripes: (direction of the rows in radians, period in pixels, strength).
        feather: width in pixels over which the paint fades at its edge; not for instances, whose edge is sharp.
        opacity: 0 to 1.
        rim: (colour, width in pixels): the colour at the edge, which becomes `colour` over that width inwards.
    """

    shape: Shape
    colour: Colour
    category: str = ""
    hides: bool = False
    shadow: bool = False
    contrast: float = 0.05
    mottle: float = 0.0
    stripes: tuple[float, float, float] | None = None
    feather: float = 0.0
    opacity: float = 1.0
    rim: tuple[Colour, float] | None = None

    @property
    def decides_ids(self) -> bool:
        return self.hides or bool(self.category)


@dataclass(frozen=True)
class Thing:
    """Marks that belong together, painted in their order; things of larger `height` (metres, roughly) come later, over the others."""

    height: float
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Ground:
    """What lies under everything: two colours in patches, streaks along `flow` (radians) where it is water."""

    colours: tuple[Colour, Colour]
    contrast: float = 0.06
    flow: float | None = None


@dataclass(frozen=True)
class Plan:
    """A scene before it is drawn: `size` (height, width), the ground and the things on it; `satellite` scenes get the tone of a stretched 16-bit product."""

    size: tuple[int, int]
    ground: Ground
    things: tuple[Thing, ...]
    satellite: bool = False
    marks: tuple[Mark, ...] = field(init=False)

    def __post_init__(self) -> None:
        ordered = sorted(self.things, key=lambda thing: thing.height)
        object.__setattr__(self, "marks", tuple(mark for thing in ordered for mark in thing.marks))


@dataclass(frozen=True)
class Cover:
    """Coverage of the pixels of a window: `rows` and `columns` of the image, `share` uint8 from 0 to FULL."""

    rows: slice
    columns: slice
    share: NDArray[np.uint8]


def cover(shape: Shape, size: tuple[int, int], margin: float = 0.0) -> Cover | None:
    """How much of each pixel `shape` covers, in the window around it (with `margin` more pixels); None where it lies off the image.

    A pixel is sampled at 4 × 4 points, at 2 × 2 in windows above 512 × 512.
    """
    corners = np.concatenate([polygon[0] for polygon in shape])
    left, top = np.maximum(np.floor(corners.min(0) - margin), 0).astype(int)
    right, bottom = np.minimum(np.ceil(corners.max(0) + margin) + 1, size[::-1]).astype(int)
    width, height = int(right - left), int(bottom - top)
    if width <= 0 or height <= 0:
        return None
    samples = 4 if width * height <= 512 * 512 else 2
    canvas = np.zeros((height * samples, width * samples), np.uint8)
    for polygon in shape:
        cv2.fillPoly(canvas, [_in_samples(ring, left, top, samples) for ring in polygon], FULL, shift=SHIFT)
    return Cover(slice(top, bottom), slice(left, right), cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA))


def _in_samples(ring: Ring, left: int, top: int, samples: int) -> NDArray[np.int32]:
    """Corners in 1/16 of a sample; a pixel's samples lie evenly around its centre."""
    return np.round((((ring - (left, top)) + 0.5) * samples - 0.5) * (1 << SHIFT)).astype(np.int32)


class IdMap:
    """Takes covers in painter's order and says which instance is seen in each pixel: the uppermost that covers more than half of it."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.ids = np.zeros(size, np.int32)
        self.categories: list[str] = []

    def add(self, mark: Mark, covered: Cover) -> None:
        if not mark.decides_ids:
            return
        number = 0
        if mark.category:
            self.categories.append(mark.category)
            number = len(self.categories)
        self.ids[covered.rows, covered.columns][covered.share > FULL // 2] = number

    def finish(self) -> tuple[NDArray[np.int32], dict[int, str]]:
        """The map with instances numbered 1, 2, … from the lowest, background 0 and `IGNORE` where less than `MIN_VISIBLE` pixels are seen; their categories."""
        seen = np.bincount(self.ids.ravel(), minlength=len(self.categories) + 1)
        kept = seen >= MIN_VISIBLE
        kept[0] = False
        number = np.where(kept, np.cumsum(kept), IGNORE).astype(np.int32)
        number[0] = 0
        categories = {int(number[old]): self.categories[old - 1] for old in np.flatnonzero(kept)}
        return number[self.ids], categories


def draw_ids(plan: Plan) -> tuple[NDArray[np.int32], dict[int, str]]:
    """The id map (H, W) of `plan` and the category of each id, as drawing the whole scene gives them."""
    ids = IdMap(plan.size)
    for mark in plan.marks:
        if mark.decides_ids and (covered := cover(mark.shape, plan.size)) is not None:
            ids.add(mark, covered)
    return ids.finish()
