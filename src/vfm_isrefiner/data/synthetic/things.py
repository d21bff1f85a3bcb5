"""Vehicles, ships, trees and pools of the synthetic scenes, each as its marks in painter's order."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from vfm_isrefiner.data.synthetic.light import CARGO, CONCRETE, DECK, FLAT, PAINT, RGB, TREE, Light, pick, shade, shadow
from vfm_isrefiner.data.synthetic.plan import Body, Colour, Mark, Thing
from vfm_isrefiner.data.synthetic.shapes import Polygon, Ring, Shape, blob, box, chamfered, hull, one, placed


def vehicle(rng: np.random.Generator, at: Ring, angle: float, light: Light, large: bool = False) -> Thing:
    """A car or van, or a lorry or bus where `large`."""
    metres = (rng.uniform(7, 12.5), 2.5) if large else (rng.uniform(3.9, 5.0), rng.uniform(1.75, 2.0))
    length, width = (size * light.metre for size in metres)
    height, shape = 3.0 if large else 1.5, one(placed(chamfered(length, width, 0.2 * width), at, angle))

    def part(left: float, right: float, half: float) -> Polygon:
        return (placed(box(left * length, -half * width, right * length, half * width), at, angle),)

    def paint(rng: np.random.Generator) -> list[Mark]:
        marks = [shadow(shape[0], height, light, 0.5), Mark(shape, pick(rng, PAINT), contrast=0.03)]
        if large:
            return [*marks, Mark((part(-0.48, 0.28, 0.42),), pick(rng, FLAT + CARGO))]
        windows = (part(0.08, 0.24, 0.4), part(-0.40, -0.28, 0.4))
        return [*marks, Mark(windows, np.array([0.13, 0.15, 0.18]), contrast=0.0, opacity=0.85)]

    return Thing(height, paint, Body(shape, "vehicle"))


def tree(rng: np.random.Generator, at: Ring, radius: float, light: Light) -> Thing:
    """A crown of `radius` pixels; it hides what is below and is no instance."""
    shape = one(at + blob(rng, radius, radius, 0.28, 40))

    def paint(rng: np.random.Generator) -> list[Mark]:
        colour, trunk = shade(rng, TREE, 0.12), at + (shape[0][0] - at) * 0.9
        lit = at + 0.25 * radius * light.towards + blob(rng, 0.6 * radius, 0.6 * radius, 0.4, 24)
        return [
            shadow((trunk,), min(1.6 * radius / light.metre, 9), light, 1.5),
            Mark(shape, colour, contrast=0.22, mottle=0.15),
            Mark(one(lit), np.clip(colour * 1.5, 0, 1), contrast=0.25, feather=0.5 * radius, opacity=0.7),
        ]

    return Thing(rng.uniform(4, 18), paint, Body(shape))


def ship(rng: np.random.Generator, at: Ring, length: float, angle: float, light: Light, wake: bool = False) -> Thing:
    """A boat or a ship of `length` pixels, with its wake where it sails."""
    metres = length / light.metre
    beam = length * ship_beam(metres)
    outline = hull(length, beam, rng.uniform(0.18, 0.34), rng.uniform(0.6, 0.95))
    shape = one(placed(outline, at, angle))

    def paint(rng: np.random.Generator) -> list[Mark]:
        colour = pick(rng, PAINT[:3] if metres < 16 else DECK)
        marks = _wake(rng, at, length, beam, angle) if wake else []
        marks += [
            shadow(shape[0], min(0.12 * metres, 6), light, 1.0),
            Mark(shape, colour * rng.uniform(0.55, 0.9)),
            Mark(one(placed(outline * (0.965, 0.84), at, angle)), colour, mottle=0.05),
        ]
        for left, right, half, part in _deck(rng, metres):
            ring = placed(box(left * length, -half * beam, right * length, half * beam), at, angle)
            marks.append(Mark(one(ring), part))
        if metres >= 16:
            bridge = placed(box(-0.42 * length, -0.38 * beam, -0.28 * length, 0.38 * beam), at, angle)
            marks += [shadow((bridge,), min(0.1 * metres, 8), light, 0.5), Mark(one(bridge), shade(rng, (0.85, 0.85, 0.83)))]
        return marks

    return Thing(0.5, paint, Body(shape, "ship"))


def _deck(rng: np.random.Generator, metres: float) -> list[tuple[float, float, float, Colour]]:
    """Boxes on deck: (left, right) over the length, half their width over the beam, colour."""
    if metres < 16:
        return [(-0.25, 0.1, 0.26, shade(rng, (0.25, 0.28, 0.32), 0.15)), (-0.18, 0.02, 0.22, pick(rng, PAINT[:2]))]
    cargo = CARGO if rng.random() < 0.5 else (DECK[2], DECK[3])
    edges = np.linspace(-0.22, 0.33, int(np.clip(metres / 9, 2, 9)) + 1).tolist()
    return [(left + 0.004, right - 0.012, 0.34, pick(rng, cargo)) for left, right in pairwise(edges)]


def ship_beam(metres: float) -> float:
    """Beam over length: small craft are broad, long ships slender."""
    return float(np.clip(0.36 - 0.05 * np.log(metres / 5), 0.16, 0.36))


def _wake(rng: np.random.Generator, at: Ring, length: float, beam: float, angle: float) -> list[Mark]:
    """Foam behind the stern and the two arms of the bow wave."""
    foam, far, spread = np.array([0.72, 0.77, 0.78]), length * rng.uniform(1.2, 2.5), beam * rng.uniform(0.7, 1.3)
    trail = np.array([[-0.45 * length, -0.3 * beam], [-0.45 * length, 0.3 * beam], [-far, 0.6 * spread], [-far, -0.6 * spread]])
    marks = [Mark(one(placed(trail, at, angle)), foam, contrast=0.2, mottle=0.2, feather=0.3 * beam, opacity=0.4)]
    for side in (-1, 1):
        arm = np.array(
            [[0.4 * length, 0.1 * beam], [-0.7 * length, spread * 1.3], [-0.7 * length, spread * 1.3 + 0.3 * beam]]
        ) * (1, side)
        marks.append(Mark(one(placed(arm, at, angle)), foam, contrast=0.2, mottle=0.2, feather=0.25 * beam, opacity=0.35))
    return marks


def pool(rng: np.random.Generator, at: Ring, length: float, width: float, angle: float) -> Thing:
    """A swimming pool in its paved edge."""
    outline = chamfered(length, width, 0.15 * width) if rng.random() < 0.6 else blob(rng, length / 2, width / 2, 0.12, 40)
    shape = one(placed(outline, at, angle))

    def paint(rng: np.random.Generator) -> list[Mark]:
        water = shade(rng, (0.28, 0.60, 0.68) if rng.random() < 0.75 else (0.22, 0.38, 0.36))
        edge = Mark(one(placed(outline * 1.25, at, angle)), shade(rng, CONCRETE))
        return [edge, Mark(shape, water, rim=(water * 1.2, 0.2 * width))]

    return Thing(0.1, paint, Body(shape, "pool"))


def patch(
    shape: Shape, colour: RGB | Colour, spread: float = 0.08, mottle: float = 0.08, feather: float = 0.0, height: float = 0.0
) -> Thing:
    """Plain ground of another colour, shaded by `spread`."""
    return Thing(height, lambda rng: [Mark(shape, shade(rng, colour, spread), mottle=mottle, feather=feather)])
