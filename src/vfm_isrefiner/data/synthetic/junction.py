"""Synthetic roads that meet, straight or bent, some at a roundabout; traffic on them, buildings and trees beside them."""

from __future__ import annotations

import numpy as np

from vfm_isrefiner.data.synthetic.layout import Space
from vfm_isrefiner.data.synthetic.light import ASPHALT, CONCRETE, DRY, GRASS, LINES, SOIL, Light, shade
from vfm_isrefiner.data.synthetic.plan import Body, Ground, Mark, Plan, Thing
from vfm_isrefiner.data.synthetic.shapes import Ring, curve, ellipse, one, strip
from vfm_isrefiner.data.synthetic.site import Site
from vfm_isrefiner.data.synthetic.things import patch


def junction(rng: np.random.Generator, size: tuple[int, int], metre: float) -> Plan:
    """One to three roads; every road is an instance, and a crossing belongs to the later one."""
    site, roads, traffic = Site(rng, size, Light.drawn(rng, metre)), Space(size), Space(size)
    middle, reach = np.array(size[::-1]) * rng.uniform(0.35, 0.65, 2), 0.8 * float(np.hypot(*size))
    angle, count = rng.uniform(0, np.pi), int(rng.choice((1, 2, 3), p=(0.15, 0.55, 0.3)))
    roundabout = count > 1 and rng.random() < 0.35
    radius = min(site.metres(11, 20), 0.24 * site.short)
    if roundabout:
        traffic.take(middle + ellipse(0.5 * radius, 0.5 * radius))
    for index in range(count):
        heading = angle + index * np.pi / count + rng.normal(0, 0.1)
        along = np.array([np.cos(heading), np.sin(heading)])
        normal = along[::-1] * (-1, 1)
        via = middle + (0.0 if roundabout or index < 2 else rng.uniform(-0.3, 0.3) * site.short) * normal
        bend = rng.normal(0, 0.16) * reach * normal if rng.random() < 0.5 else 0 * normal
        line = curve(via - reach * along + bend, via - bend, via + reach * along + bend)
        _road(site, roads, traffic, line, min(site.metres(6.5, 16), 0.2 * site.short), index)
    if roundabout:
        _roundabout(site, roads, middle, radius)
    tries = max(6, len(site.scattered(40)))
    site.buildings(roads, tries, angle, 7, 24)
    for spot in site.scattered(12):
        site.vehicle(roads, spot, angle + rng.normal(0, 0.3))
    site.trees(site.scattered(20))
    colours = shade(rng, (GRASS, DRY)[rng.integers(2)]), shade(rng, (SOIL, GRASS, CONCRETE)[rng.integers(3)])
    return Plan(size, Ground(colours, rng.uniform(0.05, 0.11)), tuple(site.things))


def _road(site: Site, roads: Space, traffic: Space, line: Ring, width: float, level: int) -> None:
    """One road with its verge, its lines and its traffic."""
    rng, metre = site.rng, site.light.metre
    roads.take(strip(line, width * 1.15))
    length = float(np.hypot(*np.diff(line, axis=0).T).sum())
    steps = np.linspace(0, 1, max(8, int(length / (3 * metre))))
    dense = np.stack([np.interp(steps, np.linspace(0, 1, len(line)), line[:, axis]) for axis in (0, 1)], 1)
    body = Body(one(strip(line, width)), "road")

    def paint(rng: np.random.Generator) -> list[Mark]:
        colour = shade(rng, ASPHALT if rng.random() < 0.75 else CONCRETE, 0.14)
        heading = float(np.arctan2(*(line[-1] - line[0])[::-1]))
        dashes = tuple((strip(dense[start : start + 2], 0.25 * metre),) for start in range(0, len(dense) - 2, 3))
        return [
            Mark(one(strip(line, width + 2.5 * metre)), shade(rng, DRY), mottle=0.2, feather=1.5),
            Mark(body.shape, colour * 1.1),
            Mark(one(strip(line, width * 0.92)), colour, mottle=0.06, stripes=(heading, width / 4, 0.03)),
            Mark(dashes, LINES, opacity=rng.uniform(0.3, 0.9)),
        ]

    site.things.append(Thing(-2 + 0.1 * level, paint, body))
    along = np.gradient(dense, axis=0)
    for index in np.flatnonzero(rng.random(len(dense)) < rng.uniform(0.08, 0.35)):
        side, turn = rng.choice((-1, 1)), float(np.arctan2(along[index, 1], along[index, 0]))
        spot = dense[index] + side * rng.choice((0.16, 0.34)) * width * np.array([-np.sin(turn), np.cos(turn)])
        site.vehicle(traffic, spot, turn + (np.pi if side < 0 else 0), large=rng.random() < 0.15)


def _roundabout(site: Site, roads: Space, middle: Ring, outer: float) -> None:
    """A ring over the crossing, an instance of its own, around an island."""
    rim, inner = middle + ellipse(outer, outer, 64), middle + ellipse(0.5 * outer, 0.5 * outer, 48)
    roads.take(rim)
    ring, island = Body(((rim, inner),), "road"), Body(one(inner))
    site.things.append(Thing(-1, lambda rng: [Mark(ring.shape, shade(rng, ASPHALT, 0.14), mottle=0.06)], ring))
    site.things.append(Thing(-0.95, lambda rng: [Mark(island.shape, shade(rng, GRASS, 0.12), mottle=0.15)], island))
    site.things.append(patch(one(middle + ellipse(0.2 * outer, 0.2 * outer)), SOIL, feather=1, height=-0.9))
