"""The plan of a synthetic scene: what lies where, in painter's order; and the id map, which needs no paint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from vfm_isrefiner.data.synthetic.shapes import Shape

Colour = NDArray[np.float64]
"""(3,) red, green, blue from 0 to 1."""

FULL = 240
"""Coverage of a pixel that lies wholly inside: 16 samples of 15, so that every share is a whole number."""

IGNORE = -1
MIN_VISIBLE = 12  # pixels; what shows less of itself is too small to click on
MIN_SHARE = 0.2  # of the object's pixels in the image; what is hidden more than that is in scraps

SHIFT = 4  # corners are given to OpenCV in 1/16 of a sample


@dataclass(frozen=True)
class Mark:
    """One piece of paint.

    Attributes:
        shape: where.
        colour: its colour; a shadow's is what light is left per channel.
        shadow: multiplies what is below, instead of covering it.
        contrast: strength of the pixel-sized texture.
        mottle: strength of the texture of many pixels.
        stripes: (direction of the rows in radians, period in pixels, strength).
        feather: width in pixels over which the paint fades at its edge.
        opacity: 0 to 1.
        rim: (colour, width in pixels): the colour at the edge, which becomes `colour` over that width inwards.
    """

    shape: Shape
    colour: Colour
    shadow: bool = False
    contrast: float = 0.05
    mottle: float = 0.0
    stripes: tuple[float, float, float] | None = None
    feather: float = 0.0
    opacity: float = 1.0
    rim: tuple[Colour, float] | None = None


@dataclass(frozen=True)
class Body:
    """What takes its pixels from the instances below it: the visible mask of an instance of `category`, of none where ""."""

    shape: Shape
    category: str = ""


Paint = Callable[[np.random.Generator], Sequence[Mark]]
"""The marks of a thing in painter's order, made only when the scene is painted: an id map needs none of them."""


@dataclass(frozen=True)
class Thing:
    """Something in a scene, without a body only paint; what has a larger `height` (metres, roughly) lies over the others."""

    height: float
    paint: Paint
    body: Body | None = None


@dataclass(frozen=True)
class Ground:
    """What lies under everything: two colours in patches, streaks along `flow` (radians) where it is water."""

    colours: tuple[Colour, Colour]
    contrast: float = 0.06
    flow: float | None = None


@dataclass(frozen=True)
class Plan:
    """A scene before it is drawn.

    Attributes:
        size: (height, width) in pixels.
        satellite: the image gets the tone of a stretched 16-bit product.
        things: from the lowest to the highest.
    """

    size: tuple[int, int]
    ground: Ground
    things: tuple[Thing, ...]
    satellite: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "things", tuple(sorted(self.things, key=lambda thing: thing.height)))


@dataclass(frozen=True)
class Cover:
    """Coverage of the pixels of a window: `rows` and `columns` of the image, `share` uint8 from 0 to FULL."""

    rows: slice
    columns: slice
    share: NDArray[np.uint8]


def cover(shape: Shape, size: tuple[int, int], margin: float = 0.0) -> Cover | None:
    """How much of each pixel `shape` covers, in its window and `margin` pixels more; None where that is off the image.

    A pixel is sampled at 4 × 4 points, at 2 × 2 in windows above 512 × 512; samples on an outline count as inside.
    """
    corners = shape[0][0] if len(shape) == 1 else np.concatenate([polygon[0] for polygon in shape])
    (low_x, low_y), (high_x, high_y) = corners.min(0).tolist(), corners.max(0).tolist()
    left, top = max(int(low_x - margin), 0), max(int(low_y - margin), 0)
    right, bottom = min(int(high_x + margin) + 2, size[1]), min(int(high_y + margin) + 2, size[0])
    width, height = right - left, bottom - top
    if width <= 0 or height <= 0:
        return None
    samples = 4 if width * height <= 512 * 512 else 2
    canvas = np.zeros((height * samples, width * samples), np.uint8)
    offset = (np.array([0.5 - left, 0.5 - top]) * samples - 0.5) * (1 << SHIFT)
    # a pixel's samples lie evenly around its centre; corners are rounded to 1/16 of a sample
    scale = samples << SHIFT
    for polygon in shape:
        rings = [np.rint(ring * scale + offset).astype(np.int32) for ring in polygon]
        cv2.fillPoly(canvas, rings, FULL, shift=SHIFT)
    share = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return Cover(slice(top, bottom), slice(left, right), cast(NDArray[np.uint8], share))


class IdMap:
    """Which instance is seen in each pixel: of the bodies added, in painter's order, the last that covers over half of it."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.ids = np.zeros(size, np.int32)
        self.categories: list[str] = []
        self.whole = [0]

    def add(self, body: Body, covered: Cover) -> None:
        number = 0
        if body.category:
            self.categories.append(body.category)
            number = len(self.categories)
        inside = covered.share > FULL // 2
        self.ids[covered.rows, covered.columns][inside] = number
        if number:
            self.whole.append(int(np.count_nonzero(inside)))

    def finish(self) -> tuple[NDArray[np.int32], dict[int, str]]:
        """The map, and the category of each number: instances 1, 2, … from the lowest, background 0, and `IGNORE` for those
        of which less than `MIN_VISIBLE` pixels, or less than `MIN_SHARE`, are seen."""
        seen = np.bincount(self.ids.ravel(), minlength=len(self.categories) + 1)
        kept = (seen >= MIN_VISIBLE) & (seen >= MIN_SHARE * np.array(self.whole))
        kept[0] = False
        number = np.where(kept, np.cumsum(kept), IGNORE).astype(np.int32)
        number[0] = 0
        categories = {int(number[old]): self.categories[old - 1] for old in np.flatnonzero(kept)}
        return number[self.ids], categories


def draw_ids(plan: Plan) -> tuple[NDArray[np.int32], dict[int, str]]:
    """The id map (H, W) of `plan` and the category of each id, as drawing the whole scene gives them."""
    ids = IdMap(plan.size)
    for thing in plan.things:
        if thing.body is not None and (covered := cover(thing.body.shape, plan.size)) is not None:
            ids.add(thing.body, covered)
    return ids.finish()
