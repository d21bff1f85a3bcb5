"""Outlines for the synthetic scenes: rings of points around the origin, and what moves, joins and casts them."""

from __future__ import annotations

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
    return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (length / 2, width / 2)


def box(left: float, top: float, right: float, bottom: float) -> Ring:
    """The rectangle between two corners."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)


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
    angle = np.arange(points) * (2 * np.pi / points)
    order = np.arange(2, max(4, points // 4))
    size = roughness * rng.standard_normal(len(order)) * (2 / order) ** 1.15
    phase = rng.uniform(0, 2 * np.pi, len(order))
    wave = (size[:, None] * np.cos(order[:, None] * angle + phase[:, None])).sum(0)
    radius = np.exp(np.clip(wave, -1.2, 0.8))
    return np.stack([radius_x * radius * np.cos(angle), radius_y * radius * np.sin(angle)], 1)


def hull(length: float, beam: float, bow: float, stern: float) -> Ring:
    """A ship seen from above, bow towards +x: `bow` is the share of the length that tapers, `stern` the width of the transom over the beam."""
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
    """What `polygon` covers while it moves along `by` (x, y): the shadow of a flat roof."""
    sides = []
    for ring in polygon:
        following = np.roll(ring, -1, 0)
        sides += [(np.stack([a, b, b + by, a + by]),) for a, b in zip(ring, following, strict=True)]
    return (polygon, tuple(ring + by for ring in polygon), *sides)
