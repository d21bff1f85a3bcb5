"""A synthetic harbour: a quay with halls, tanks and parked vehicles; ships at the quay, at piers and at sea."""

from __future__ import annotations

from functools import partial

import numpy as np

from vfm_isrefiner.data.synthetic.buildings import building, tank
from vfm_isrefiner.data.synthetic.layout import Frame, Lot, Space, divided
from vfm_isrefiner.data.synthetic.light import ASPHALT, CONCRETE, Light, shade, shadow
from vfm_isrefiner.data.synthetic.plan import Colour, Ground, Mark, Plan, Thing
from vfm_isrefiner.data.synthetic.shapes import Ring, Shape, one, placed, rectangle
from vfm_isrefiner.data.synthetic.site import Site
from vfm_isrefiner.data.synthetic.things import patch, ship, ship_beam
from vfm_isrefiner.data.synthetic.town import car_park

WATER = ((0.09, 0.17, 0.21), (0.13, 0.25, 0.25), (0.20, 0.27, 0.23), (0.08, 0.12, 0.17))


def harbour(rng: np.random.Generator, size: tuple[int, int], metre: float) -> Plan:
    """Land lies at v < 0, water at v > 0 of a turned frame."""
    site, space, frame = Site(rng, size, Light.drawn(rng, metre)), Space(size), Frame.drawn(rng, size, upright=0.15)
    piers = _land(site, frame, space)
    _moored(site, frame, space, 0.0, frame.reach, -frame.reach, along=True)
    for pier in piers:
        _moored(site, frame, space, pier.left, 1.0, pier.bottom, along=False, side=-1)
        _moored(site, frame, space, pier.right, 1.0, pier.bottom, along=False, side=1)
    course = rng.uniform(0, 2 * np.pi)
    for spot in site.scattered(14):
        heading = (course if rng.random() < 0.6 else rng.uniform(0, 2 * np.pi)) + rng.normal(0, 0.15)
        _afloat(site, space, spot, _ship_length(site), heading, wake=rng.random() < 0.5)
    _inland(site, frame)
    site.park()
    first = WATER[rng.integers(len(WATER))]
    colours = shade(rng, first, 0.06), 1.25 * shade(rng, first, 0.06)
    return Plan(size, Ground(colours, rng.uniform(0.06, 0.16), flow=rng.uniform(0, np.pi)), tuple(site.things))


def _land(site: Site, frame: Frame, space: Space) -> list[Lot]:
    """The quay and its piers, whose lots are returned."""
    rng, metre, reach = site.rng, site.light.metre, frame.reach
    colour = shade(rng, CONCRETE if rng.random() < 0.6 else ASPHALT, 0.12)
    piers: list[Lot] = []
    land, place = Lot(-reach, -reach, reach, 0.0), -reach + site.metres(0, 40)
    while place < reach and site.short > 90:
        width, length = min(site.metres(3, 14), 0.1 * site.short), rng.uniform(0.15, 0.5) * site.short
        piers.append(Lot(place, -1.0, place + width, length))
        place += max(site.metres(30, 90), 0.35 * site.short)
    for height, lot in [(-3.0, land), *((-2.9, pier) for pier in piers)]:
        shape = one(frame.ring(lot))
        space.take(shape[0][0])
        site.things.append(Thing(height, partial(_quay, shape, colour, site.light)))
        site.things.append(patch(one(frame.ring(lot.inset(0.8 * metre))), colour, 0, 0.05, height=-2.5))
    return piers


def _quay(shape: Shape, colour: Colour, light: Light, rng: np.random.Generator) -> list[Mark]:
    """The edge of the land, and its shadow on the water."""
    return [shadow(shape[0], 3, light), Mark(shape, colour * rng.uniform(0.7, 0.9), mottle=0.06)]


def _ship_length(site: Site) -> float:
    """Many boats, few large ships, none longer than 0.6 of the image's shorter side; pixels."""
    metres = np.exp(site.rng.normal(2.7, 0.7)) if site.rng.random() < 0.75 else site.rng.uniform(30, 110)
    return float(np.clip(metres, 5, 120)) * site.light.metre * min(1.0, 0.6 * site.short / (max(metres, 5) * site.light.metre))


def _afloat(site: Site, space: Space, at: Ring, length: float, angle: float, wake: bool = False) -> bool:
    """A ship where the water is free."""
    beam = length * ship_beam(length / site.light.metre)
    free = space.claim(placed(rectangle(1.04 * length, 1.1 * beam), at, angle))
    if free:
        site.things.append(ship(site.rng, at, length, angle, site.light, wake))
    return free


def _moored(site: Site, frame: Frame, space: Space, edge: float, start: float, end: float, along: bool, side: int = 1) -> None:
    """Ships from `start` to `end` beside a quay along u (`along`) or a pier along v; or boats in a row, their bow to it."""
    rng, metre = site.rng, site.light.metre
    place, end = min(start, end), max(start, end)
    marina = rng.random() < 0.35
    while place < end:
        length = min(site.metres(6, 13), 0.4 * site.short) if marina else _ship_length(site)
        beam = length * ship_beam(length / metre)
        extent, depth = (beam, length) if marina else (length, beam)
        where, away = place + extent / 2 + 0.6 * metre, edge + side * (depth / 2 + site.metres(0.6, 1.2))
        at = frame.spot(where, away) if along else frame.spot(away, where)
        turn = frame.angle + (0 if along != marina else np.pi / 2) + (np.pi if rng.random() < 0.5 else 0)
        if rng.random() < 0.8 and site.holds(at, length / 3):
            _afloat(site, space, at, length, turn + rng.normal(0, 0.015))
        place += extent + (site.metres(0.7, 1.5) if marina else site.metres(1.5, 14))


def _inland(site: Site, frame: Frame) -> None:
    """Halls, tanks and car parks behind the quay's edge."""
    rng, metre, reach = site.rng, site.light.metre, frame.reach
    largest = min(site.metres(26, 55), 0.45 * site.short)
    lots, _ = divided(
        rng,
        frame,
        Lot(-reach, -reach, reach, -min(site.metres(4, 12), 0.12 * site.short)),
        largest,
        1.5 * largest,
        min(8 * metre, 0.1 * site.short),
    )
    for lot in lots:
        draw, small = rng.random(), min(lot.length, lot.width)
        if draw < 0.25 and small > 6 * metre:
            _tanks(site, frame, lot)
        elif draw < 0.4 and small > 11 * metre:
            car_park(site, frame, lot.inset(metre), shade(rng, ASPHALT))
        elif draw < 0.9:
            share = rng.uniform(0.6, 0.9, 2)
            site.things.append(
                building(rng, frame.spot(*lot.centre), lot.length * share[0], lot.width * share[1], frame.angle, site.light)
            )


def _tanks(site: Site, frame: Frame, lot: Lot) -> None:
    """Tanks of one size in a grid."""
    radius = min(site.metres(3, 9), 0.38 * min(lot.length, lot.width))
    for v in np.arange(lot.top + 1.2 * radius, lot.bottom - radius, 2.5 * radius):
        for u in np.arange(lot.left + 1.2 * radius, lot.right - radius, 2.5 * radius):
            spot = frame.spot(u, v)
            if site.holds(spot, radius) and site.rng.random() < 0.85:
                site.things.append(tank(site.rng, spot, radius, site.light))
