"""The buildings of the synthetic scenes, and their tanks: each as its marks in painter's order."""

from __future__ import annotations

import numpy as np

from vfm_isrefiner.data.synthetic.light import FLAT, PITCHED, Light, pick, shadow
from vfm_isrefiner.data.synthetic.plan import Body, Colour, Mark, Thing
from vfm_isrefiner.data.synthetic.shapes import Polygon, Ring, Shape, box, ell, ellipse, one, placed, rectangle, turned


def building(rng: np.random.Generator, at: Ring, length: float, width: float, angle: float, light: Light) -> Thing:
    """A building of `length` × `width` pixels: small ones with pitched roofs, large ones with flat roofs or a courtyard."""
    metres = min(length, width) / light.metre
    if metres > 15 and rng.random() < 0.4:
        inner = rng.uniform(0.3, 0.5)
        return _flat((rectangle(length, width), rectangle(length * inner, width * inner)), at, angle, light, rng.uniform(8, 20))
    if metres > 13 or rng.random() < 0.2:
        cut = rng.uniform(0.3, 0.6, 2) * (length, width)
        outline = ell(length, width, *cut) if rng.random() < 0.35 else rectangle(length, width)
        return _flat((outline,), at, angle, light, rng.uniform(4, 9) + rng.random() ** 3 * 18)
    return _pitched(rng, at, length, width, angle, light)


def _flat(polygon: Polygon, at: Ring, angle: float, light: Light, height: float) -> Thing:
    """A roof of axis-parallel rings with its parapet and what stands on it: machines, lift houses, skylights."""
    shape: Shape = (tuple(placed(ring, at, angle) for ring in polygon),)

    def paint(rng: np.random.Generator) -> list[Mark]:
        colour = pick(rng, FLAT)
        inside = tuple(placed(ring * (0.96 if ring is polygon[0] else 1.06), at, angle) for ring in polygon)
        marks = [
            shadow(shape[0], height, light),
            Mark(shape, np.clip(colour * rng.uniform(0.75, 1.25), 0, 1)),
            Mark((inside,), colour, mottle=rng.uniform(0.02, 0.10)),
        ]
        reach = np.abs(polygon[0]).max(0)
        for _ in range(int(rng.integers(0, 5))):
            spot = rng.uniform(-0.8, 0.8, 2) * reach
            extent = np.minimum(rng.uniform(1, 4, 2) * light.metre, 0.2 * reach)
            if _inside(spot, extent, polygon):
                unit = placed(box(*(spot - extent), *(spot + extent)), at, angle)
                marks += [shadow((unit,), 1.5, light, 0.6), Mark(one(unit), pick(rng, FLAT))]
        return marks

    return Thing(height, paint, Body(shape, "building"))


def _inside(spot: Ring, extent: Ring, polygon: Polygon) -> bool:
    """Whether a box around `spot` lies inside axis-parallel rings, by its corners (even-odd)."""
    for corner in rectangle(*(2.4 * extent)) + spot:
        crossings = 0
        for ring in polygon:
            for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, 0), strict=True):
                crossings += x1 == x2 and min(y1, y2) < corner[1] <= max(y1, y2) and corner[0] < x1
        if crossings % 2 == 0:
            return False
    return True


def _pitched(rng: np.random.Generator, at: Ring, length: float, width: float, angle: float, light: Light) -> Thing:
    """Gable, hip or pyramid roofs, one wing or two."""
    height = rng.uniform(4, 8)
    if width > length:
        length, width, angle = width, length, angle + np.pi / 2
    wings = [(np.zeros(2), length, width, angle)]
    outline = rectangle(length, width)
    if rng.random() < 0.4 and width > 6 * light.metre:
        share, cut = rng.uniform(0.45, 0.65), rng.uniform(0.35, 0.55)
        outline = ell(length, width, length * (1 - share), width * cut)
        main, wing = width * (1 - cut), length * share
        wings = [
            (np.array([0, -width * cut / 2]), length, main, angle),
            (np.array([-(length - wing) / 2, 0]), width, wing, angle + np.pi / 2),
        ]
    shape = one(placed(outline, at, angle))

    def paint(rng: np.random.Generator) -> list[Mark]:
        colour = pick(rng, PITCHED)
        hip = float(rng.choice([0.0, 0.5, 1.0], p=[0.5, 0.4, 0.1]))  # how far the ridge ends draw back, over half the width
        marks = [shadow(shape[0], height, light), Mark(shape, colour)]
        for centre, long, wide, along in wings:
            marks += _slopes(rng, at + turned(centre, angle), long, wide, along, hip, colour, light)
        if rng.random() < 0.4:
            spot = at + turned(rng.uniform(-0.2, 0.2, 2) * width, angle)
            chimney = placed(rectangle(*(rng.uniform(0.6, 1.2, 2) * light.metre)), spot, angle)
            marks += [shadow((chimney,), 1.2, light, 0.5), Mark(one(chimney), pick(rng, FLAT))]
        return marks

    return Thing(height, paint, Body(shape, "building"))


def _slopes(
    rng: np.random.Generator, at: Ring, length: float, width: float, angle: float, hip: float, colour: Colour, light: Light
) -> list[Mark]:
    """The faces of one roof wing with its ridge along `angle`, each as bright as it faces the sun."""
    a, b = length / 2, width / 2
    ridge = a - hip * min(b, a)
    faces = [
        ([(-a, -b), (a, -b), (ridge, 0), (-ridge, 0)], -np.pi / 2),
        ([(-a, b), (a, b), (ridge, 0), (-ridge, 0)], np.pi / 2),
    ]
    if hip:
        faces += [([(a, -b), (a, b), (ridge, 0)], 0.0), ([(-a, -b), (-a, b), (-ridge, 0)], np.pi)]
    tiles = (angle, max(2.2, 0.5 * light.metre), rng.uniform(0, 0.06))
    return [
        Mark(
            one(placed(np.array(corners), at, angle)),
            np.clip(colour * light.facing(angle + side), 0, 1),
            contrast=0.05,
            mottle=0.04,
            stripes=tiles,
        )
        for corners, side in faces
    ]


def tank(rng: np.random.Generator, at: Ring, radius: float, light: Light) -> Thing:
    """A round storage tank or silo."""
    height, shape = rng.uniform(4, 11), one(at + ellipse(radius, radius))

    def paint(rng: np.random.Generator) -> list[Mark]:
        colour = pick(rng, FLAT)
        lit = at + 0.35 * radius * light.towards + ellipse(0.5 * radius, 0.5 * radius)
        return [
            shadow(shape[0], height, light),
            Mark(shape, colour * 0.78),
            Mark(one(at + ellipse(0.93 * radius, 0.93 * radius)), colour, contrast=0.04, mottle=0.04),
            Mark(one(lit), np.clip(colour * 1.12, 0, 1), feather=0.5 * radius, opacity=0.8),
        ]

    return Thing(height, paint, Body(shape, "tank"))
