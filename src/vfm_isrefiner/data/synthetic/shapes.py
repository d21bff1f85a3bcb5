"""Outlines for the synthetic scenes: rings of points around the origin, and what moves, joins and casts them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Ring = NDArray[np.float64]
"""(n, 2) corners (x, y) in pixels; pixel centres are whole numbers."""

Polygon = tuple[Ring, ...]
"""Rings filled by the even-odd rule: an outline and its holes."""

Shape = tuple[Polygon, ...]
"""The union of polygons."""


def rectangle(length: float, width: float) -> Ring:
    """`length` along x, `width` along y, centred at the origin."""
    return box(-length / 2, -width / 2, length / 2, width / 2)


def box(left: float, top: float, right: float, bottom: float) -> Ring:
    """The rectangle between two corners."""
    return np.array(((left, top), (right, top), (right, bottom), (left, bottom)), float)


def chamfered(length: float, width: float, corner: float) -> Ring:
    """A rectangle with its corners cut off by `corner` pixels."""
    a, b, c = length / 2, width / 2, corner
    return np.array([[-a + c, -b], [a - c, -b], [a, -b + c], [a, b - c], [a - c, b], [-a + c, b], [-a, b - c], [-a, -b + c]])


def ell(length: float, width: float, cut_length: float, cut_width: float) -> Ring:
    """A rectangle without a corner of `cut_length` × `cut_width`."""
    a, b = length / 2, width / 2
    return np.array([[-a, -b], [a, -b], [a, b - cut_width], [a - cut_length, b - cut_width], [a - cut_length, b], [-a, b]])


def ellipse(radius_x: float, radius_y: float, points: int = 32) -> Ring:
    angle = np.arange(points) * (2 * np.pi / points)
    return np.stack([radius_x * np.cos(angle), radius_y * np.sin(angle)], 1)


def blob(rng: np.random.Generator, radius_x: float, radius_y: float, roughness: float, points: int = 96) -> Ring:
    """An ellipse whose radius carries random waves, the shorter the weaker; `roughness` 0 (smooth) to about 0.4 (ragged)."""
    order = np.arange(2, max(4, points // 4))
    waves = np.zeros(points // 2 + 1, complex)
    waves[order] = rng.standard_normal((2, len(order))).T.copy().view(complex)[:, 0] * (2 / order) ** 1.55
    radius = np.exp(np.clip(np.fft.irfft(waves, points) * (0.4 * points * roughness), -1.0, 0.7))
    return radius[:, None] * ellipse(radius_x, radius_y, points)


def hull(length: float, beam: float, bow: float, stern: float) -> Ring:
    """A ship seen from above, bow towards +x: the share `bow` of its length tapers, `stern` is the transom over the beam."""
    a, b = length / 2, beam / 2
    taper = np.linspace(0, 1, 6)
    side = np.stack([a - 2 * a * bow * (1 - taper), b * (1 - taper**2.2)], 1)
    port = np.concatenate([[[-a, b * stern], [-a + 0.12 * length, b]], side])
    return np.concatenate([port, port[-2::-1] * (1, -1)])


def bent(ring: Ring, bend: float) -> Ring:
    """`ring` bowed along x: y grows by `bend` times the squared x over the half length."""
    half = np.abs(ring[:, 0]).max()
    return np.stack([ring[:, 0], ring[:, 1] + bend * ring[:, 0] ** 2 / half], 1)


def strip(line: Ring, width: float | NDArray[np.float64]) -> Ring:
    """The band of `width` pixels (one, or one per point) around an open line of points."""
    along = np.gradient(line, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], 1) / np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    half = np.broadcast_to(np.asarray(width, float) / 2, len(line))[:, None]
    return np.concatenate([line + half * normal, (line - half * normal)[::-1]])


def curve(start: Ring, middle: Ring, end: Ring, points: int = 24) -> Ring:
    """Quadratic Bézier line."""
    t = np.linspace(0, 1, points)[:, None]
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end


def turned(ring: Ring, angle: float) -> Ring:
    """`ring` turned by `angle` radians around the origin, from x towards y."""
    cos, sin = np.cos(angle), np.sin(angle)
    return ring @ np.array([[cos, sin], [-sin, cos]])


def placed(ring: Ring, at: Ring, angle: float = 0.0) -> Ring:
    """`ring` turned by `angle` and moved to `at` (x, y)."""
    return turned(ring, angle) + at


def one(ring: Ring) -> Shape:
    """The shape of a single ring."""
    return ((ring,),)


def swept(polygon: Polygon, by: Ring) -> Shape:
    """What `polygon` covers while it moves along `by` (x, y): the shadow of a flat roof. Round outlines count as convex."""
    outline = polygon[0]  # of the outlines in use only `ell`, of six corners, is far from convex
    moved = tuple(ring + by for ring in polygon)
    if len(polygon) == 1 and (len(outline) != 6 or cv2.isContourConvex(outline.astype(np.float32))):
        around = cv2.convexHull(np.concatenate([outline, moved[0]]).astype(np.float32))
        return one(around[:, 0].astype(np.float64))
    sides = [
        np.stack([ring, np.roll(ring, -1, 0), np.roll(far, -1, 0), far], 1) for ring, far in zip(polygon, moved, strict=True)
    ]
    return (polygon, moved, *((side,) for side in np.concatenate(sides)))
