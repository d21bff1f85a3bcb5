"""A small drawn scene on the ground whose objects are known, for tests in a browser."""

from dataclasses import dataclass

import cv2
import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS

from vfm_isrefiner.geo.opening import quiet

SIZE = (480, 640)
TRANSFORM = Affine(0.5, 0, 334_000, 0, -0.5, 6_250_000)
CRS_OF = CRS.from_epsg(32756)  # south of the equator
GROUND = (86, 112, 78)


@dataclass(frozen=True)
class Thing:
    """An object of one or two colours; `clicks` find it: one on each colour."""

    label: str
    outline: tuple[tuple[int, int], ...]
    colour: tuple[int, int, int]
    clicks: tuple[tuple[int, int], ...]
    second: tuple[tuple[int, int], ...] = ()
    hole: tuple[tuple[int, int], ...] = ()


THINGS = {
    "gable": Thing(
        "building",
        ((90, 80), (190, 110), (170, 180), (70, 150)),
        (196, 84, 62),
        ((120, 105), (125, 150)),
        second=((80, 115), (180, 145), (170, 180), (70, 150)),
    ),
    "court": Thing(
        "building",
        ((330, 70), (450, 70), (450, 190), (330, 190)),
        (206, 200, 188),
        ((345, 90),),
        hole=((370, 110), (410, 110), (410, 150), (370, 150)),
    ),
    "pond": Thing(
        "water", ((120, 270), (200, 260), (240, 310), (210, 380), (130, 390), (90, 330)), (58, 96, 150), ((165, 320),)
    ),
    "truck": Thing("vehicle", ((380, 300), (440, 300), (440, 328), (380, 328)), (226, 190, 60), ((410, 314),)),
    "trailer": Thing("vehicle", ((448, 300), (500, 300), (500, 328), (448, 328)), (150, 70, 150), ((470, 314),)),
}


def truth(name):
    """(H, W) bool."""
    thing, mask = THINGS[name], np.zeros(SIZE, np.uint8)
    cv2.fillPoly(mask, [np.array(thing.outline)], 1)
    if thing.hole:
        cv2.fillPoly(mask, [np.array(thing.hole)], 0)
    return mask.astype(bool)


def write_page_scene(path, bands=3, ground=True):
    """Three bands of colours, or more that repeat them; the lowest 40 rows hold no data. `ground`: it lies somewhere."""
    image = np.full((*SIZE, 3), GROUND, np.uint8)
    for name, thing in THINGS.items():
        image[truth(name)] = thing.colour
        if thing.second:
            cv2.fillPoly(image, [np.array(thing.second)], tuple(round(0.7 * one) for one in thing.colour))
    noise = np.random.default_rng(7).normal(0, 2, image.shape)
    image = np.clip(image + noise, 1, 255).astype(np.uint8)
    image[-40:] = 0
    planes = np.resize(image.transpose(2, 0, 1), (bands, *SIZE))
    profile = {"height": SIZE[0], "width": SIZE[1], "count": bands, "dtype": "uint8"}
    if ground:
        profile |= {"crs": CRS_OF, "transform": TRANSFORM}
    with quiet(Warning), rasterio.open(path, "w", driver="GTiff", nodata=0, photometric="RGB", **profile) as file:
        file.write(planes)
    return path
