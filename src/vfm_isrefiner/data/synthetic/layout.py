"""How the synthetic scenes share out their area: a turned frame, its division into lots, and what is still free."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vfm_isrefiner.data.synthetic.shapes import Ring, box, turned


@dataclass(frozen=True)
class Lot:
    """An upright rectangle of a turned frame, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def length(self) -> float:
        return self.right - self.left

    @property
    def width(self) -> float:
        return self.bottom - self.top

    @property
    def centre(self) -> Ring:
        return np.array([(self.left + self.right) / 2, (self.top + self.bottom) / 2])

    def inset(self, by: float) -> Lot:
        return Lot(self.left + by, self.top + by, self.right - by, self.bottom - by)


@dataclass(frozen=True)
class Frame:
    """Coordinates (u, v) turned by `angle` around `origin` (x, y)."""

    size: tuple[int, int]
    origin: Ring
    angle: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, size: tuple[int, int], upright: float = 0.25) -> Frame:
        """Any angle, an upright one with that probability; the origin near the middle of the image."""
        angle = rng.choice(4) * np.pi / 2 + (0.0 if rng.random() < upright else rng.uniform(-np.pi / 4, np.pi / 4))
        return cls(size, np.array(size[::-1]) * rng.uniform(0.35, 0.65, 2), float(angle))

    @property
    def reach(self) -> float:
        """No pixel of the image is farther from the origin."""
        return 0.9 * float(np.hypot(*self.size))

    def image(self, points: Ring) -> Ring:
        """(u, v) to (x, y)."""
        return turned(np.atleast_2d(points), self.angle) + self.origin

    def spot(self, u: float, v: float) -> Ring:
        return self.image(np.array([[u, v]]))[0]

    def ring(self, lot: Lot) -> Ring:
        return self.image(box(lot.left, lot.top, lot.right, lot.bottom))

    def sees(self, lot: Lot) -> bool:
        """Whether the box around `lot` meets the image."""
        ring = self.ring(lot)
        return bool((ring.max(0) > 0).all() and (ring.min(0) < self.size[::-1]).all())


def divided(
    rng: np.random.Generator, frame: Frame, lot: Lot, largest: float, block: float = np.inf, street: float = 0.0
) -> tuple[list[Lot], list[Lot]]:
    """`lot` cut across until no side is longer than `largest` pixels.

    Returns the lots that `frame` sees, and the streets left free where pieces longer than `block` were cut. Lots are at least
    about a third of `largest` wide.
    """
    if not frame.sees(lot):
        return [], []
    side = max(lot.length, lot.width)
    if side <= largest * rng.uniform(0.62, 1.0):
        return [lot], []
    gap = street if side > block else 0.0
    share = rng.uniform(0.38, 0.62)
    if lot.length >= lot.width:
        cut = lot.left + share * (lot.length - gap)
        first, second = Lot(lot.left, lot.top, cut, lot.bottom), Lot(cut + gap, lot.top, lot.right, lot.bottom)
        between = Lot(cut, lot.top, cut + gap, lot.bottom)
    else:
        cut = lot.top + share * (lot.width - gap)
        first, second = Lot(lot.left, lot.top, lot.right, cut), Lot(lot.left, cut + gap, lot.right, lot.bottom)
        between = Lot(lot.left, cut, lot.right, cut + gap)
    lots, streets = divided(rng, frame, first, largest, block, street)
    more, further = divided(rng, frame, second, largest, block, street)
    return lots + more, ([between] if gap and frame.sees(between) else []) + streets + further


class Space:
    """Which part of the image is taken, to two pixels."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.taken: NDArray[np.uint8] = np.zeros(((size[0] + 1) // 2, (size[1] + 1) // 2), np.uint8)

    def take(self, ring: Ring) -> None:
        cv2.fillPoly(self.taken, [np.round(ring / 2).astype(np.int32)], 1)

    def claim(self, ring: Ring) -> bool:
        """Take `ring` if all of it is free and at least some of it lies in the image."""
        height, width = self.taken.shape
        left, top = np.maximum(np.floor(ring.min(0) / 2), 0).astype(int)
        right, bottom = np.minimum(np.ceil(ring.max(0) / 2) + 1, (width, height)).astype(int)
        if right <= left or bottom <= top:
            return False
        wanted = np.zeros((bottom - top, right - left), np.uint8)
        cv2.fillPoly(wanted, [np.round(ring / 2 - (left, top)).astype(np.int32)], 1)
        window = self.taken[top:bottom, left:right]
        if not wanted.any() or (window & wanted).any():
            return False
        window |= wanted
        return True
