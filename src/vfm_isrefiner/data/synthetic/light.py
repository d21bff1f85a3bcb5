"""Colours and the sun of a synthetic scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vfm_isrefiner.data.synthetic.plan import Colour, Mark
from vfm_isrefiner.data.synthetic.shapes import Polygon, Ring, swept

RGB = tuple[float, float, float]

GRASS: RGB = (0.31, 0.38, 0.22)
DRY: RGB = (0.56, 0.51, 0.37)
SOIL: RGB = (0.47, 0.38, 0.29)
ASPHALT: RGB = (0.37, 0.37, 0.38)
CONCRETE: RGB = (0.60, 0.585, 0.55)
TREE: RGB = (0.17, 0.24, 0.13)
PITCHED: tuple[RGB, ...] = (
    (0.60, 0.33, 0.24),
    (0.50, 0.27, 0.20),
    (0.34, 0.35, 0.38),
    (0.43, 0.34, 0.28),
    (0.57, 0.50, 0.43),
    (0.36, 0.42, 0.36),
)
FLAT: tuple[RGB, ...] = (
    (0.80, 0.80, 0.78),
    (0.58, 0.56, 0.53),
    (0.42, 0.42, 0.43),
    (0.66, 0.62, 0.54),
    (0.50, 0.56, 0.58),
    (0.50, 0.44, 0.36),
)
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
DECK: tuple[RGB, ...] = (
    (0.52, 0.24, 0.19),
    (0.30, 0.42, 0.36),
    (0.62, 0.62, 0.61),
    (0.40, 0.41, 0.43),
    (0.24, 0.30, 0.38),
    (0.58, 0.50, 0.40),
)
LINES = np.array([0.78, 0.78, 0.75])  # paint on roads
CARGO: tuple[RGB, ...] = ((0.62, 0.26, 0.18), (0.22, 0.36, 0.55), (0.30, 0.48, 0.34), (0.75, 0.74, 0.70), (0.72, 0.55, 0.22))


@dataclass(frozen=True)
class Light:
    """The sun of a scene and its scale.

    Attributes:
        metre: pixels per metre.
        cast: (x, y) in pixels, the shadow of one metre of height.
        dark: what light a shadow leaves, per channel.
    """

    metre: float
    cast: Ring
    dark: Colour

    @classmethod
    def drawn(cls, rng: np.random.Generator, metre: float) -> Light:
        azimuth, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 1.1) * metre
        dark = rng.uniform(0.38, 0.62) * np.array([0.95, 1.0, 1.1])
        return cls(metre, length * np.array([np.cos(azimuth), np.sin(azimuth)]), dark)

    @property
    def towards(self) -> Ring:
        """(x, y) of length 1 towards the sun."""
        return -self.cast / np.hypot(*self.cast)

    def facing(self, angle: float) -> float:
        """How bright a slope is that falls towards `angle`, about 1."""
        return 1 + 0.24 * float(self.towards @ (np.cos(angle), np.sin(angle)))


def shade(rng: np.random.Generator, colour: RGB | Colour, spread: float = 0.08) -> Colour:
    """`colour` a little brighter or darker, and a little off in hue."""
    return np.clip(np.array(colour) * rng.uniform(1 - 2 * spread, 1 + 2 * spread) * rng.normal(1, 0.3 * spread, 3), 0.02, 0.98)


def pick(rng: np.random.Generator, palette: tuple[RGB, ...], spread: float = 0.08) -> Colour:
    return shade(rng, palette[rng.integers(len(palette))], spread)


def shadow(polygon: Polygon, height: float, light: Light, soft: float = 0.8) -> Mark:
    """The shadow on flat ground of a roof `height` metres above it."""
    return Mark(swept(polygon, height * light.cast), light.dark, shadow=True, feather=soft)
