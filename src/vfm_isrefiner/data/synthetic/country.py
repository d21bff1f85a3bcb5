"""Synthetic open country: a braided river with its sandbars, and farmland."""

from __future__ import annotations

from functools import partial

import numpy as np

from vfm_isrefiner.data.synthetic.buildings import building, tank
from vfm_isrefiner.data.synthetic.layout import Frame, Lot, Space, divided
from vfm_isrefiner.data.synthetic.light import DRY, GRASS, SOIL, TREE, Light, shade
from vfm_isrefiner.data.synthetic.plan import Body, Colour, Ground, Mark, Plan, Thing
from vfm_isrefiner.data.synthetic.shapes import Ring, Shape, bent, blob, ellipse, one, placed
from vfm_isrefiner.data.synthetic.site import Site
from vfm_isrefiner.data.synthetic.things import patch

SAND = ((0.72, 0.64, 0.50), (0.62, 0.56, 0.46), (0.66, 0.63, 0.57), (0.52, 0.45, 0.36))
RIVER = ((0.36, 0.34, 0.26), (0.22, 0.29, 0.27), (0.16, 0.22, 0.24), (0.42, 0.37, 0.29))
CROPS = (
    (0.30, 0.40, 0.18),
    (0.42, 0.46, 0.24),
    (0.62, 0.55, 0.34),
    (0.44, 0.35, 0.26),
    (0.52, 0.44, 0.34),
    (0.24, 0.34, 0.18),
    (0.66, 0.61, 0.45),
)


def river(rng: np.random.Generator, size: tuple[int, int], metre: float) -> Plan:
    """Bars of all sizes, drawn out along the flow. Sizes follow the image: such rivers look alike at every scale."""
    site, space, frame = Site(rng, size, Light.drawn(rng, metre)), Space(size), Frame.drawn(rng, size, upright=0.0)
    water, sand = RIVER[rng.integers(len(RIVER))], shade(rng, SAND[rng.integers(len(SAND))])
    half, reach = rng.uniform(0.36, 0.62) * site.short, frame.reach
    for side in (-1, 1):
        bank = _bank(site, frame, half, side)
        space.take(bank)
        site.things.append(_bank_paint(site, bank, sand))
    tries = int(np.clip(size[0] * size[1] / 1400, 40, 4000))
    lengths = np.sort(np.clip(0.035 * rng.pareto(0.9, tries) + 0.03, 0.03, 0.62))[::-1] * site.short
    for length in np.maximum(lengths, 7):
        spot = frame.spot(rng.uniform(-reach, reach), rng.uniform(-half, half) * 0.95)
        if not site.holds(spot, 0.3 * length):
            continue
        bar = bent(blob(rng, length / 2, length / rng.uniform(3.2, 9), rng.uniform(0.1, 0.32)), rng.normal(0, 0.12))
        bar = placed(bar, spot, frame.angle + rng.normal(0, 0.22))
        if space.claim(spot + (bar - spot) * 1.12 + rng.uniform(-1, 1)):
            shape = one(bar)
            paint = partial(_bar, shape, spot, length, sand, np.array(water))
            site.things.append(Thing(-2, paint, Body(shape, "sandbar")))
    colours = shade(rng, water, 0.05), 0.8 * shade(rng, water, 0.05)
    return Plan(size, Ground(colours, rng.uniform(0.03, 0.08), flow=frame.angle), tuple(site.things), satellite=True)


def _bank(site: Site, frame: Frame, half: float, side: int) -> Ring:
    """The land beyond one bank of the river, with a ragged edge."""
    rng, reach = site.rng, frame.reach
    u = np.linspace(-reach, reach, 160)
    order = np.arange(1, 40)
    waves = rng.standard_normal(39) * 0.5 / order**1.3
    edge = half * (
        1 + 0.35 * (waves[:, None] * np.cos(order[:, None] * np.pi * u / reach + rng.uniform(0, 6.28, 39)[:, None])).sum(0)
    )
    far = np.array([[reach, 2 * reach], [-reach, 2 * reach]])
    return frame.image(np.concatenate([np.stack([u, edge], 1), far]) * (1, side))


def _bank_paint(site: Site, bank: Ring, sand: Colour) -> Thing:
    """Grass or bare ground behind a strip of sand that is no instance."""
    rng = site.rng
    green, beach = GRASS if rng.random() < 0.6 else DRY, rng.uniform(0.02, 0.08) * site.short
    for spot in site.scattered(40):
        radius = rng.uniform(0.006, 0.022) * site.short
        if _inside(spot, bank):
            site.trees(spot[None], radius / site.light.metre, 1.6 * radius / site.light.metre)
    return Thing(
        -3, lambda rng: [Mark(one(bank), shade(rng, green, 0.12), contrast=0.08, mottle=0.22, rim=(0.8 * sand, beach))]
    )


def _inside(spot: Ring, ring: Ring) -> bool:
    """Whether `spot` lies in `ring` (even-odd)."""
    (x1, y1), (x2, y2) = ring.T, np.roll(ring, -1, 0).T
    across = (y1 > spot[1]) != (y2 > spot[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        left = spot[0] < x1 + (spot[1] - y1) * (x2 - x1) / (y2 - y1)
    return bool((across & left).sum() % 2)


def _bar(shape: Shape, spot: Ring, length: float, sand: Colour, water: Colour, rng: np.random.Generator) -> list[Mark]:
    """A sandbar: a shoal that stays under water and is no part of it, a wet edge, dry sand, and scrub on the large ones."""
    bar = shape[0][0]
    dry = np.clip(sand * rng.uniform(0.72, 1.12), 0, 1)
    wet = rng.uniform(0.2, 0.5) * dry + rng.uniform(0.4, 0.6) * water
    width = max(2.0, rng.uniform(0.04, 0.16) * length)
    marks = []
    if rng.random() < 0.7:
        shoal = spot + (bar - spot) * rng.uniform(1.08, 1.35) + rng.normal(0, 0.03, 2) * length
        soft, thin = max(1.5, 0.06 * length), rng.uniform(0.3, 0.75)
        marks.append(Mark(one(shoal), 0.5 * (wet + water), mottle=0.15, feather=soft, opacity=thin))
    marks.append(Mark(shape, dry, mottle=rng.uniform(0.03, 0.1), rim=(wet, width)))
    if length > 30 and rng.random() < 0.5:
        scrub, green = spot + 0.6 * (bar - spot) + rng.normal(0, 0.02, 2) * length, shade(rng, GRASS, 0.12)
        thin = rng.uniform(0.3, 0.85)
        marks.append(Mark(one(scrub), green, contrast=0.15, mottle=0.3, feather=0.08 * length, opacity=thin))
    if length > 40 and rng.random() < 0.4:  # a pool left behind, part of the bar
        pond = blob(rng, 0.07 * length, 0.025 * length, 0.3, 48)
        pond = placed(pond, spot + rng.normal(0, 0.05, 2) * length, rng.uniform(0, np.pi))
        marks.append(Mark(one(pond), 0.6 * water + 0.4 * wet, feather=1.0, opacity=0.8))
    return marks


def farmland(rng: np.random.Generator, size: tuple[int, int], metre: float) -> Plan:
    """Fields in rows of crops, round ones under pivots, hedges between them and some farms."""
    site, frame = Site(rng, size, Light.drawn(rng, metre)), Frame.drawn(rng, size)
    largest = min(site.metres(45, 110), rng.uniform(0.45, 0.65) * site.short)
    reach = frame.reach
    lots, tracks = divided(
        rng, frame, Lot(-reach, -reach, reach, reach), largest, 1.9 * largest, min(site.metres(2.5, 6), 0.06 * site.short)
    )
    for track in tracks:
        site.things.append(
            patch(one(frame.ring(track)), SOIL if rng.random() < 0.7 else DRY, mottle=0.15, feather=1, height=-2)
        )
    crop = CROPS[rng.integers(len(CROPS))]
    for lot in lots:
        if rng.random() < 0.6:  # neighbours often grow the same
            crop = CROPS[rng.integers(len(CROPS))]
        draw = rng.random()
        if draw < 0.14:
            _farm(site, frame, lot)
        else:
            _field(site, frame, lot, crop, pivot=draw > 0.88 and min(lot.length, lot.width) > 0.12 * site.short)
    site.trees(site.scattered(5))
    colours = shade(rng, GRASS), shade(rng, (DRY, SOIL)[rng.integers(2)])
    return Plan(size, Ground(colours, rng.uniform(0.06, 0.12)), tuple(site.things), satellite=bool(rng.random() < 0.2))


def _field(site: Site, frame: Frame, lot: Lot, crop: tuple[float, float, float], pivot: bool) -> None:
    """One field with its rows, and a hedge along some of its sides."""
    rng = site.rng
    margin = min(site.metres(0.6, 2.5), 0.06 * min(lot.length, lot.width))
    inner = lot.inset(margin)
    if pivot:
        radius = min(inner.length, inner.width) / 2
        outline = frame.spot(*inner.centre) + ellipse(radius, radius, 72)
    else:
        corners = frame.ring(inner)
        outline = corners + rng.normal(0, 0.25 * margin, corners.shape)
    shape = one(outline)

    def paint(rng: np.random.Generator) -> list[Mark]:
        angle = frame.angle + np.pi / 2 * rng.integers(2) + (0 if rng.random() < 0.8 else rng.uniform(-0.5, 0.5))
        rows = (angle, max(2.4, rng.uniform(0.7, 2.8) * site.light.metre), rng.uniform(0.02, 0.14))
        colour = shade(rng, crop, 0.06)
        marks = [Mark(shape, colour, contrast=0.06, mottle=rng.uniform(0.03, 0.16), stripes=rows)]
        if rng.random() < 0.35:  # a part that grows badly, still of the field
            part = frame.spot(*(inner.centre + rng.uniform(-0.2, 0.2, 2) * (inner.length, inner.width)))
            spread = 0.2 * min(inner.length, inner.width)
            bare, poor = part + blob(rng, spread, 0.7 * spread, 0.3, 48), colour * rng.uniform(0.75, 1.25)
            marks.append(Mark(one(bare), poor, mottle=0.1, stripes=rows, feather=0.5 * spread, opacity=0.7))
        return marks

    site.things.append(Thing(-1, paint, Body(shape, "field")))
    if rng.random() < 0.4:
        _hedge(site, frame, lot)


def _hedge(site: Site, frame: Frame, lot: Lot) -> None:
    """Bushes in a row along one side, over both neighbours' edges."""
    rng = site.rng
    radius = min(site.metres(1.2, 2.6), 0.05 * site.short)
    places = np.arange(0, 1, 1.3 * radius / max(lot.length, lot.width))
    places = places[rng.random(len(places)) < rng.uniform(0.5, 0.95)]
    line = np.stack([lot.left + places * lot.length, np.full(len(places), lot.top)], 1)
    if rng.random() < 0.5:
        line = np.stack([np.full(len(places), lot.left), lot.top + places * lot.width], 1)
    spots = frame.image(line + rng.normal(0, 0.25 * radius, line.shape))
    metres = radius / site.light.metre
    site.trees(spots, 0.7 * metres, 1.3 * metres)


def _farm(site: Site, frame: Frame, lot: Lot) -> None:
    """Buildings, silos and machines in a yard."""
    rng, space = site.rng, Space(site.size)
    site.things.append(patch(one(frame.ring(lot)), SOIL if rng.random() < 0.5 else TREE, 0.12, 0.2, feather=2, height=-1))
    for _ in range(int(rng.integers(2, 6))):
        length = min(site.metres(8, 24), 0.4 * min(lot.length, lot.width))
        width, at = length * rng.uniform(0.45, 0.8), frame.spot(*rng.uniform((lot.left, lot.top), (lot.right, lot.bottom)))
        turn = frame.angle + np.pi / 2 * rng.integers(2)
        if not space.claim(placed(ellipse(0.7 * length, 0.7 * length, 12), at)):
            continue
        draw = rng.random()
        if draw < 0.7:
            site.things.append(building(rng, at, length, width, turn, site.light))
        elif draw < 0.85:
            site.things.append(tank(rng, at, 0.25 * length, site.light))
        else:
            site.vehicle(Space(site.size), at, turn + rng.normal(0, 0.3), large=rng.random() < 0.5)
