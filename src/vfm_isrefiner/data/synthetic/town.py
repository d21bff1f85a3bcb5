"""A synthetic town: houses, halls, car parks and gardens in blocks between streets."""

from __future__ import annotations

import numpy as np

from vfm_isrefiner.data.synthetic.buildings import building
from vfm_isrefiner.data.synthetic.layout import Frame, Lot, divided
from vfm_isrefiner.data.synthetic.light import ASPHALT, CONCRETE, DRY, GRASS, LINES, SOIL, Light, shade
from vfm_isrefiner.data.synthetic.plan import Colour, Ground, Mark, Plan, Thing
from vfm_isrefiner.data.synthetic.shapes import one
from vfm_isrefiner.data.synthetic.site import Site
from vfm_isrefiner.data.synthetic.things import patch, pool


def urban(rng: np.random.Generator, size: tuple[int, int], metre: float) -> Plan:
    """Houses, halls, car parks and gardens in blocks between streets."""
    site, frame = Site(rng, size, Light.drawn(rng, metre)), Frame.drawn(rng, size)
    largest = min(site.metres(22, 52), 0.5 * site.short)
    street = min(site.metres(7, 11), 0.22 * site.short)
    reach = frame.reach
    lots, streets = divided(rng, frame, Lot(-reach, -reach, reach, reach), largest, largest * rng.uniform(2.0, 3.2), street)
    paving = shade(rng, ASPHALT, 0.12)
    for lane in streets:
        _street(site, frame, lane, paving)
    green = rng.random()
    for lot in lots:
        draw = rng.random()
        if min(lot.length, lot.width) > 11 * metre and draw < 0.18:
            car_park(site, frame, lot.inset(0.8 * metre), paving)
        elif draw < 0.26:
            _garden(site, frame, lot, with_pool=rng.random() < 0.6)
        else:
            _plot(site, frame, lot, green)
    site.park()
    ground = Ground((shade(rng, GRASS), shade(rng, (DRY, SOIL, CONCRETE)[rng.integers(3)])), rng.uniform(0.04, 0.1))
    return Plan(size, ground, tuple(site.things))


def _street(site: Site, frame: Frame, lane: Lot, paving: Colour) -> None:
    """Asphalt with pavements and cars; a street's length is its longer side."""
    rng, metre = site.rng, site.light.metre
    ring = frame.ring(lane)
    site.things.append(patch(one(ring), CONCRETE, height=-2))
    upright = lane.width > lane.length
    across, along = (lane.length, lane.width) if upright else (lane.width, lane.length)
    edge = 0.14 * across
    inner = (
        Lot(lane.left + edge, lane.top, lane.right - edge, lane.bottom)
        if upright
        else Lot(lane.left, lane.top + edge, lane.right, lane.bottom - edge)
    )
    site.things.append(patch(one(frame.ring(inner)), paving, 0, height=-1.5))
    place = -along / 2
    while place < along / 2:
        place += site.metres(5.5, 6) if rng.random() < 0.5 else site.metres(8, 30)
        side = rng.choice((-1, 1))
        offset = side * (0.36 * across - 1.1 * metre if rng.random() < 0.6 else 0.14 * across)
        spot = frame.spot(*(lane.centre + ((offset, place) if upright else (place, offset))))
        if site.holds(spot):
            heading = frame.angle + (np.pi / 2 if upright else 0) + (np.pi if side > 0 else 0) + rng.normal(0, 0.02)
            site.rows.append([(spot, heading, rng.random() < 0.06)])
    spots = np.arange(-along / 2, along / 2, site.metres(9, 18))
    sides = rng.choice((-0.52, 0.52), len(spots)) * across
    points = lane.centre + (np.stack([sides, spots], 1) if upright else np.stack([spots, sides], 1))
    site.trees(frame.image(points[rng.random(len(spots)) < 0.4]))


def car_park(site: Site, frame: Frame, lot: Lot, paving: Colour) -> None:
    """Rows of stalls on both sides of aisles, more or less full."""
    rng, metre = site.rng, site.light.metre
    stall, depth, aisle = 2.6 * metre, 5.2 * metre, 6.2 * metre
    site.things.append(patch(one(frame.ring(lot)), paving, 0.14, height=-1))
    full, lines = rng.uniform(0.25, 0.9), []
    row, upper = lot.top, True
    while row + depth <= lot.bottom:
        places = np.arange(lot.left + stall / 2, lot.right - stall / 2, stall)
        lines += [(frame.ring(Lot(u - 0.06 * metre, row, u + 0.06 * metre, row + depth)),) for u in places - stall / 2]
        taken = places[rng.random(len(places)) < full]
        spots = frame.image(
            np.stack([taken, np.full(len(taken), row + depth / 2)], 1) + rng.normal(0, 0.14 * metre, (len(taken), 2))
        )
        turns = frame.angle + np.pi / 2 * rng.choice((-1, 1), len(taken)) + rng.normal(0, 0.03, len(taken))
        site.rows.append([(spot, turn, False) for spot, turn in zip(spots, turns, strict=True) if site.holds(spot)])
        row, upper = row + depth + (aisle if upper else 0), not upper
    if lines:
        site.things.append(Thing(-0.5, lambda rng: [Mark(tuple(lines), LINES, opacity=rng.uniform(0.3, 0.8))]))


def _garden(site: Site, frame: Frame, lot: Lot, with_pool: bool) -> None:
    """Grass, trees at its edges, and a pool where there is room."""
    rng = site.rng
    site.things.append(patch(one(frame.ring(lot)), GRASS, 0.12, 0.15, feather=2, height=-1))
    small = min(lot.length, lot.width)
    if with_pool and small > 5 * site.light.metre:
        length = min(site.metres(5, 12), 0.6 * small)
        spot = frame.spot(*(lot.centre + rng.uniform(-0.12, 0.12, 2) * small))
        site.things.append(pool(rng, spot, length, length * rng.uniform(0.4, 0.65), frame.angle + np.pi / 2 * rng.integers(2)))
    count = rng.integers(1, 7)
    points = rng.uniform((lot.left, lot.top), (lot.right, lot.bottom), (count, 2))
    far = np.abs(points - lot.centre).max(1) > 0.33 * small
    site.trees(frame.image(points[far]))


def _plot(site: Site, frame: Frame, lot: Lot, green: float) -> None:
    """A building in its lot, with a yard, and trees that may hang over the roof."""
    rng, metre = site.rng, site.light.metre
    if rng.random() < 0.7:
        yard = GRASS if rng.random() < 0.6 else (CONCRETE, SOIL, DRY)[rng.integers(3)]
        site.things.append(patch(one(frame.ring(lot.inset(0.3 * metre))), yard, 0.1, 0.1, feather=1, height=-1))
    free = lot.inset(min(site.metres(0.8, 3), 0.12 * min(lot.length, lot.width)))
    length, width = free.length * rng.uniform(0.55, 1), free.width * rng.uniform(0.55, 1)
    if max(length, width) > 3.2 * min(length, width):
        length = width = min(length, width)
    slack = np.array([free.length - length, free.width - width]) / 2
    at = frame.spot(*(free.centre + rng.uniform(-1, 1, 2) * slack))
    turn = 0.0 if rng.random() < 0.85 else rng.uniform(-0.12, 0.12)
    site.things.append(building(rng, at, length, width, frame.angle + turn, site.light))
    count = rng.binomial(4, 0.1 + 0.4 * green)
    sides = np.stack([rng.uniform(-0.5, 0.5, count), rng.choice((-0.46, 0.46), count)], 1)[:, :: int(rng.choice((-1, 1)))]
    site.trees(frame.image(lot.centre + sides * (lot.length, lot.width)), 1.0, 3.4)
