"""What stands in the synthetic scenes: buildings, vehicles, ships, trees, tanks and pools, each as its marks in painter's order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vfm_isrefiner.data.synthetic.plan import Colour, Mark, Thing
from vfm_isrefiner.data.synthetic.shapes import (
    Polygon,
    Ring,
    Shape,
    blob,
    box,
    chamfered,
    ell,
    ellipse,
    hull,
    one,
    placed,
    rectangle,
    swept,
    turned,
)

RGB = tuple[float, float, float]

GRASS: RGB = (0.31, 0.38, 0.22)
DRY: RGB = (0.56, 0.51, 0.37)
SOIL: RGB = (0.47, 0.38, 0.29)
ASPHALT: RGB = (0.37, 0.37, 0.38)
CONCRETE: RGB = (0.60, 0.585, 0.55)
TREE: RGB = (0.17, 0.24, 0.13)
PITCHED: tuple[RGB, ...] = ((0.60, 0.33, 0.24), (0.50, 0.27, 0.20), (0.34, 0.35, 0.38), (0.43, 0.34, 0.28), (0.57, 0.50, 0.43), (0.36, 0.42, 0.36))
FLAT: tuple[RGB, ...] = ((0.80, 0.80, 0.78), (0.58, 0.56, 0.53), (0.42, 0.42, 0.43), (0.66, 0.62, 0.54), (0.50, 0.56, 0.58), (0.50, 0.44, 0.36))
PAINT: tuple[RGB, ...] = (
    (0.90, 0.90, 0.89),
    (0.72, 0.73, 0.75),
    (0.45, 0.46, 0.48),
    (0.12, 0.12, 0.13),
    (0.58, 0.14, 0.13),
    (0.17, 0.25, 0.47),
    (0.60, 0.55, 0.45),
    (0.36, 0.37, 0.38),
)
DECK: tuple[RGB, ...] = ((0.52, 0.24, 0.19), (0.30, 0.42, 0.36), (0.62, 0.62, 0.61), (0.40, 0.41, 0.43), (0.24, 0.30, 0.38), (0.58, 0.50, 0.40))
LINES = np.array([0.78, 0.78, 0.75])  # paint on roads
CARGO: tuple[RGB, ...] = ((0.62, 0.26, 0.18), (0.22, 0.36, 0.55), (0.30, 0.48, 0.34), (0.75, 0.74, 0.70), (0.72, 0.55, 0.22))


@dataclass(frozen=True)
class Light:
    """The sun of a scene and its scale: `metre` is pixels per metre, `cast` the shadow (x, y) of one metre of height in pixels, `dark` what light a shadow leaves."""

    metre: float
    cast: Ring
    dark: Colour

    @classmethod
    def drawn(cls, rng: np.random.Generator, metre: float) -> Light:
        azimuth, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 1.1) * metre
        dark = rng.uniform(0.38, 0.62) * np.array([0.95, 1.0, 1.1])
        return cls(metre, length * np.array([np.cos(azimuth), np.sin(azimuth)]), dark)

    def facing(self, angle: float) -> float:
        """How bright a slope is that falls towards `angle`, about 1."""
        towards = -self.cast / np.hypot(*self.cast)
        return 1 + 0.24 * float(towards @ (np.cos(angle), np.sin(angle)))


def shade(rng: np.random.Generator, colour: RGB, spread: float = 0.08) -> Colour:
    """`colour` a little brighter or darker, and a little off in hue."""
    return np.clip(np.array(colour) * rng.uniform(1 - 2 * spread, 1 + 2 * spread) + rng.normal(0, spread / 4, 3), 0.02, 0.98)


def pick(rng: np.random.Generator, palette: tuple[RGB, ...], spread: float = 0.08) -> Colour:
    return shade(rng, palette[rng.integers(len(palette))], spread)


def shadow(polygon: Polygon, height: float, light: Light, soft: float = 0.8) -> Mark:
    """The shadow on flat ground of a roof `height` metres above it."""
    return Mark(swept(polygon, height * light.cast), light.dark, shadow=True, feather=soft)


def building(rng: np.random.Generator, at: Ring, length: float, width: float, angle: float, light: Light) -> Thing:
    """A building on a `length` × `width` pixel plot: pitched roofs on small ones, flat roofs, courtyards and halls on large ones."""
    metres = min(length, width) / light.metre
    if metres > 15 and rng.random() < 0.4:
        inner = rng.uniform(0.3, 0.5)
        return _flat(rng, (rectangle(length, width), rectangle(length * inner, width * inner)), at, angle, light, rng.uniform(8, 20))
    if metres > 13 or rng.random() < 0.2:
        cut = rng.uniform(0.3, 0.6, 2) * (length, width)
        outline = ell(length, width, *cut) if rng.random() < 0.35 else rectangle(length, width)
        return _flat(rng, (outline,), at, angle, light, rng.uniform(4, 9) + rng.random() ** 3 * 18)
    return _pitched(rng, at, length, width, angle, light)


def _flat(rng: np.random.Generator, polygon: Polygon, at: Ring, angle: float, light: Light, height: float) -> Thing:
    colour = pick(rng, FLAT)
    body = tuple(placed(ring, at, angle) for ring in polygon)
    inside = tuple(placed(ring * (0.96 if ring is polygon[0] else 1.06), at, angle) for ring in polygon)
    marks = [
        shadow(body, height, light),
        Mark((body,), np.clip(colour * rng.uniform(0.75, 1.25), 0, 1), "building", hides=True),
        Mark((inside,), colour, contrast=0.05, mottle=rng.uniform(0.02, 0.10)),
    ]
    reach = np.abs(polygon[0]).max(0)
    for _ in range(int(rng.integers(0, 5))):  # what stands on flat roofs: machines, lift houses, skylights
        spot = rng.uniform(-0.8, 0.8, 2) * reach
        extent = np.minimum(rng.uniform(1, 4, 2) * light.metre, 0.2 * reach)
        if not _inside(spot, extent, polygon):
            continue
        unit = placed(box(*(spot - extent), *(spot + extent)), at, angle)
        marks += [shadow((unit,), 1.5, light, 0.6), Mark(one(unit), pick(rng, FLAT))]
    return Thing(height, tuple(marks))


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
    height, colour = rng.uniform(4, 8), pick(rng, PITCHED)
    hip = float(rng.choice([0.0, 0.5, 1.0], p=[0.5, 0.4, 0.1]))  # how far the ridge ends draw back, over half the width
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
    body = placed(outline, at, angle)
    marks = [shadow((body,), height, light), Mark(one(body), colour, "building", hides=True)]
    for centre, long, wide, along in wings:
        marks += _slopes(rng, at + turned(centre[None], angle)[0], long, wide, along, hip, colour, light)
    if rng.random() < 0.4:
        stack = placed(rectangle(*(rng.uniform(0.6, 1.2, 2) * light.metre)), at + turned(rng.uniform(-0.2, 0.2, (1, 2)) * width, angle)[0], angle)
        marks += [shadow((stack,), 1.2, light, 0.5), Mark(one(stack), pick(rng, FLAT))]
    return Thing(height, tuple(marks))


def _slopes(rng: np.random.Generator, at: Ring, length: float, width: float, angle: float, hip: float, colour: Colour, light: Light) -> list[Mark]:
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
        Mark(one(placed(np.array(corners), at, angle)), np.clip(colour * light.facing(angle + side), 0, 1), contrast=0.05, mottle=0.04, stripes=tiles)
        for corners, side in faces
    ]


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
        roof = rng.uniform(0.95, 1.15) * colour
        for left, right in ((0.08, 0.24), (-0.40, -0.28)):
            marks.append(Mark(one(placed(box(left * length, -0.4 * width, right * length, 0.4 * width), at, angle)), glass, contrast=0.0, opacity=0.85))
        marks.append(Mark(one(placed(box(-0.26 * length, -0.36 * width, 0.07 * length, 0.36 * width), at, angle)), np.clip(roof, 0, 1), contrast=0.02))
    return Thing(height, tuple(marks))


def tree(rng: np.random.Generator, at: Ring, radius: float, light: Light) -> Thing:
    """A crown of `radius` pixels; it hides what is below and is no instance."""
    crown = at + blob(rng, radius, radius, 0.28, 40)
    colour = shade(rng, TREE, 0.12)
    lit = -light.cast / np.hypot(*light.cast)
    marks = [
        shadow((at + (crown - at) * 0.9,), min(1.6 * radius / light.metre, 9), light, 1.5),
        Mark(one(crown), colour, hides=True, contrast=0.22, mottle=0.15),
        Mark(one(at + 0.25 * radius * lit + blob(rng, 0.6 * radius, 0.6 * radius, 0.4, 24)), np.clip(colour * 1.5, 0, 1), contrast=0.25, feather=0.5 * radius, opacity=0.7),
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
        for left, right in zip(edges[:-1], edges[1:], strict=True):
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
        arm = np.array([[0.4 * length, 0.1 * beam], [-0.7 * length, spread * 1.3], [-0.7 * length, spread * 1.3 + 0.3 * beam]]) * (1, side)
        marks.append(Mark(one(placed(arm, at, angle)), foam, contrast=0.2, mottle=0.2, feather=0.25 * beam, opacity=0.35))
    return marks


def tank(rng: np.random.Generator, at: Ring, radius: float, light: Light) -> Thing:
    """A round storage tank or silo."""
    height, colour = rng.uniform(4, 11), pick(rng, FLAT)
    rim, lit = at + ellipse(radius, radius), -light.cast / np.hypot(*light.cast)
    marks = (
        shadow((rim,), height, light),
        Mark(one(rim), colour * 0.78, "tank", hides=True),
        Mark(one(at + ellipse(0.93 * radius, 0.93 * radius)), colour, contrast=0.04, mottle=0.04),
        Mark(one(at + 0.35 * radius * lit + ellipse(0.5 * radius, 0.5 * radius)), np.clip(colour * 1.12, 0, 1), feather=0.5 * radius, opacity=0.8),
    )
    return Thing(height, marks)


def pool(rng: np.random.Generator, at: Ring, length: float, width: float, angle: float) -> Thing:
    """A swimming pool in its paved edge."""
    outline = chamfered(length, width, 0.15 * width) if rng.random() < 0.6 else blob(rng, length / 2, width / 2, 0.12, 40)
    water = np.array([0.28, 0.60, 0.68]) if rng.random() < 0.75 else np.array([0.22, 0.38, 0.36])
    marks = (
        Mark(one(placed(outline * 1.25, at, angle)), shade(rng, CONCRETE)),
        Mark(one(placed(outline, at, angle)), shade(rng, tuple(water)), "pool", hides=True, contrast=0.05, rim=(water * 1.2, 0.2 * width)),
    )
    return Thing(0.1, marks)


def patch(shape: Shape, colour: Colour, mottle: float = 0.08, feather: float = 0.0, height: float = 0.0) -> Thing:
    """Plain ground of another colour."""
    return Thing(height, (Mark(shape, colour, mottle=mottle, feather=feather),))
