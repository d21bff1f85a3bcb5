"""Vehicles, ships, trees and pools of the synthetic scenes, each as its marks in painter's order."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from vfm_isrefiner.data.synthetic.light import CARGO, CONCRETE, DECK, FLAT, PAINT, TREE, Light, pick, shade, shadow
from vfm_isrefiner.data.synthetic.plan import Colour, Mark, Thing
from vfm_isrefiner.data.synthetic.shapes import Ring, Shape, blob, box, chamfered, hull, one, placed


def vehicle(rng: np.random.Generator, at: Ring, angle: float, light: Light, large: bool = False) -> Thing:
    """A car or van, or a lorry or bus where `large`."""
    metres = (rng.uniform(7, 12.5), 2.5) if large else (rng.uniform(3.9, 5.0), rng.uniform(1.75, 2.0))
    length, width = (size * light.metre for size in metres)
    colour, height = pick(rng, PAINT), 3.0 if large else 1.5
    body = placed(chamfered(length, width, 0.2 * width), at, angle)
    marks = [shadow((body,), height, light, 0.5), Mark(one(body), colour, "vehicle", hides=True, contrast=0.03)]
    glass = np.array([0.13, 0.15, 0.18])
    if large:
        load = placed(box(-0.48 * length, -0.42 * width, 0.28 * length, 0.42 * width), at, angle)
        marks.append(Mark(one(load), pick(rng, FLAT + CARGO)))
    else:
        windows = tuple(
            (placed(box(a * length, -0.4 * width, b * length, 0.4 * width), at, angle),)
            for a, b in ((0.08, 0.24), (-0.40, -0.28))
        )
        marks.append(Mark(windows, glass, contrast=0.0, opacity=0.85))
    return Thing(height, tuple(marks))


def tree(rng: np.random.Generator, at: Ring, radius: float, light: Light) -> Thing:
    """A crown of `radius` pixels; it hides what is below and is no instance."""
    crown = at + blob(rng, radius, radius, 0.28, 40)
    colour = shade(rng, TREE, 0.12)
    lit = -light.cast / np.hypot(*light.cast)
    marks = [
        shadow((at + (crown - at) * 0.9,), min(1.6 * radius / light.metre, 9), light, 1.5),
        Mark(one(crown), colour, hides=True, contrast=0.22, mottle=0.15),
        Mark(
            one(at + 0.25 * radius * lit + blob(rng, 0.6 * radius, 0.6 * radius, 0.4, 24)),
            np.clip(colour * 1.5, 0, 1),
            contrast=0.25,
            feather=0.5 * radius,
            opacity=0.7,
        ),
    ]
    return Thing(10 + rng.uniform(-6, 8), tuple(marks))


def ship(rng: np.random.Generator, at: Ring, length: float, angle: float, light: Light, wake: bool = False) -> Thing:
    """A boat or a ship of `length` pixels, with its wake where it sails."""
    metres = length / light.metre
    beam = length * ship_beam(metres)
    outline = hull(length, beam, rng.uniform(0.18, 0.34), rng.uniform(0.6, 0.95))
    colour = pick(rng, PAINT[:3] if metres < 16 else DECK)
    body = placed(outline, at, angle)
    marks = [*(_wake(rng, at, length, beam, angle) if wake else ()), shadow((body,), min(0.12 * metres, 6), light, 1.0)]
    marks += [
        Mark(one(body), colour * rng.uniform(0.55, 0.9), "ship", hides=True),
        Mark(one(placed(outline * (0.965, 0.84), at, angle)), colour, mottle=0.05),
    ]

    def on_deck(left: float, right: float, half: float, paint: Colour, height: float = 0.0) -> None:
        part = placed(box(left * length, -half * beam, right * length, half * beam), at, angle)
        if height:
            marks.append(shadow((part,), height, light, 0.5))
        marks.append(Mark(one(part), paint))

    if metres < 16:
        on_deck(-0.25, 0.1, 0.26, shade(rng, (0.25, 0.28, 0.32), 0.15))
        on_deck(-0.18, 0.02, 0.22, pick(rng, PAINT[:2]))
    else:
        holds = int(np.clip(metres / 9, 2, 9))
        cargo = CARGO if rng.random() < 0.5 else (DECK[2], DECK[3])
        edges = np.linspace(-0.22, 0.33, holds + 1)
        for left, right in pairwise(edges):
            on_deck(left + 0.004, right - 0.012, 0.34, pick(rng, cargo))
        on_deck(-0.42, -0.28, 0.38, shade(rng, (0.85, 0.85, 0.83)), min(0.1 * metres, 8))
    return Thing(0.5, tuple(marks))


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
    water = np.array([0.28, 0.60, 0.68]) if rng.random() < 0.75 else np.array([0.22, 0.38, 0.36])
    marks = (
        Mark(one(placed(outline * 1.25, at, angle)), shade(rng, CONCRETE)),
        Mark(
            one(placed(outline, at, angle)),
            shade(rng, tuple(water)),
            "pool",
            hides=True,
            contrast=0.05,
            rim=(water * 1.2, 0.2 * width),
        ),
    )
    return Thing(0.1, marks)


def patch(shape: Shape, colour: Colour, mottle: float = 0.08, feather: float = 0.0, height: float = 0.0) -> Thing:
    """Plain ground of another colour."""
    return Thing(height, (Mark(shape, colour, mottle=mottle, feather=feather),))
