"""`Site`: a synthetic scene while it is planned."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vfm_isrefiner.data.synthetic.buildings import building
from vfm_isrefiner.data.synthetic.layout import Space
from vfm_isrefiner.data.synthetic.light import Light
from vfm_isrefiner.data.synthetic.plan import Thing
from vfm_isrefiner.data.synthetic.shapes import Ring, placed, rectangle
from vfm_isrefiner.data.synthetic.things import tree, vehicle


@dataclass
class Site:
    """A scene while it is planned; `short` is the shorter side of the image in pixels, which bounds every object.

    `rows` are vehicles that `park` may place: (spot, heading, large or not).
    """

    rng: np.random.Generator
    size: tuple[int, int]
    light: Light
    things: list[Thing] = field(default_factory=list)
    rows: list[list[tuple[Ring, float, bool]]] = field(default_factory=list)

    @property
    def short(self) -> int:
        return min(self.size)

    def metres(self, low: float, high: float) -> float:
        """A length between `low` and `high` metres, in pixels."""
        return float(self.rng.uniform(low, high)) * self.light.metre

    def holds(self, at: Ring, margin: float = 0.0) -> bool:
        """Whether `at` lies in the image, or at most `margin` pixels off it."""
        return bool((at > -margin).all() and (at < np.array(self.size[::-1]) + margin).all())

    def trees(self, spots: Ring, low: float = 1.5, high: float = 4.5) -> None:
        """Trees of `low` to `high` metres radius."""
        for spot in spots:
            radius = min(self.metres(low, high), 0.09 * self.short)
            if self.holds(spot, radius):
                self.things.append(tree(self.rng, spot, radius, self.light))

    def park(self) -> None:
        """Vehicles of `rows`, row by row in random order, until the scene has enough of them."""
        enough = 2 + 26 * self.size[0] * self.size[1] // 512**2
        for index in self.rng.permutation(len(self.rows)):
            for spot, angle, large in self.rows[index][:enough]:
                self.things.append(vehicle(self.rng, spot, angle, self.light, large))
                enough -= 1

    def vehicle(self, space: Space, at: Ring, angle: float, large: bool = False) -> bool:
        """A vehicle where `space` and the image have room for it."""
        length = (13 if large else 5.5) * self.light.metre
        free = self.holds(at) and space.claim(placed(rectangle(length, 2.4 * self.light.metre), at, angle))
        if free:
            self.things.append(vehicle(self.rng, at, angle, self.light, large))
        return free

    def buildings(self, space: Space, tries: int, angle: float, low: float, high: float) -> None:
        """Up to `tries` buildings of `low` to `high` metres wherever there is room, along `angle` or across it."""
        for _ in range(tries):
            length = min(self.metres(low, high), 0.42 * self.short)
            width = length * self.rng.uniform(0.5, 0.95)
            at = self.rng.uniform(0, 1, 2) * self.size[::-1]
            turn = angle + np.pi / 2 * self.rng.integers(2) + self.rng.normal(0, 0.04)
            if space.claim(placed(rectangle(length * 1.15, width * 1.15), at, turn)):
                self.things.append(building(self.rng, at, length, width, turn, self.light))

    def scattered(self, per_hectare: float) -> Ring:
        """Random spots (n, 2), so many per hectare, at least one."""
        hectares = self.size[0] * self.size[1] / self.light.metre**2 / 1e4
        return self.rng.uniform(0, 1, (1 + self.rng.poisson(per_hectare * hectares), 2)) * self.size[::-1]
