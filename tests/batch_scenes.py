"""Scenes of objects of one grey value each, and a network whose mask is known: the pixels of the clicked value."""

import numpy as np
import rasterio
import shapely
import torch
from affine import Affine
from pyogrio.raw import write
from rasterio.crs import CRS
from torch.nn.functional import avg_pool2d
from vector_files import DRIVERS

from vfm_isrefiner.geo.opening import quiet
from vfm_isrefiner.interaction import ImageFeatures
from vfm_isrefiner.predictor import Predictor
from vfm_isrefiner.zoom import ZoomRule

UTM = CRS.from_epsg(32733)
GRIDS = {
    "utm": (Affine(0.5, 0, 500_000, 0, -0.5, 6_000_000), UTM),
    "degrees": (Affine(1e-5, 0, 15, 0, -1e-5, -36), CRS.from_epsg(4326)),
    "rotated": (Affine.translation(500_000, 6_000_000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5), UTM),
    "pixels": (Affine.identity(), None),
}
# value -> rows, columns; 60 has a hole, 200 is longer than a window of 32
OBJECTS = {60: (4, 20, 6, 24), 100: (8, 14, 30, 40), 150: (40, 52, 70, 90), 200: (58, 62, 5, 75)}
HOLE = (10, 13, 12, 17)
SIZE = (64, 96)


class SameGrey:
    """Pixels are object that are as bright as the pixel under a positive click, and not as one under a negative one."""

    def __init__(self):
        self.training, self.encoded, self.passes = False, [], 0

    def encode_image(self, image):
        self.encoded.append(tuple(image.shape[-2:]))
        return ImageFeatures(image, patches=image.flatten(2).transpose(1, 2))

    def __call__(self, features, click_maps, prev_prob, mod_prob):
        self.passes += 1
        grey = features.image.mean(1, keepdim=True)
        # the middles of the disks, so that a disk may reach over its object
        positive = avg_pool2d((click_maps[:, :1] > 0).float(), 7, stride=1, padding=3) > 0.999
        # row by row: others of the batch have objects of their own
        inside = [(g[..., None] - g[p]).abs().lt(0.01).any(-1) for g, p in zip(grey, positive, strict=True)]
        return 20 * torch.stack(inside).float() - 10


def predictor(network=None):
    return Predictor(network or SameGrey(), zoom=ZoomRule(None, skip_clicks=999))


def truth(value, size=SIZE):
    top, bottom, left, right = OBJECTS[value]
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = True
    if value == 60:
        mask[HOLE[0] : HOLE[1], HOLE[2] : HOLE[3]] = False
    return mask


def write_scene(path, grid="utm", dtype=np.uint8):
    """(64, 96) pixels, three bands; 16-bit values are a hundred times as large."""
    transform, crs = GRIDS[grid]
    image = np.full(SIZE, 10, dtype)
    for value in OBJECTS:
        image[truth(value)] = value
    image = image * (100 if dtype == np.uint16 else 1)
    profile = {"height": 64, "width": 96, "count": 3, "dtype": dtype, "crs": crs, "transform": transform}
    with quiet(Warning), rasterio.open(path, "w", driver="GTiff", **profile) as file:  # a picture without a place
        file.write(np.stack([image] * 3).astype(dtype))
    return path


def at(x, y, grid="utm"):
    """The point on the ground of the pixel (x, y)."""
    return shapely.Point(GRIDS[grid][0] @ (x + 0.5, y + 0.5))


CLICKS = {"d": (72, 45), "a": (8, 6), "b": (34, 10), "c": (8, 60)}  # in another order than the objects lie
VALUES = {"d": 150, "a": 60, "b": 100, "c": 200}


def write_prompts(path, geometries=None, grid="utm", crs="grid", **columns):
    """The points of `CLICKS`, or other features, with their attributes."""
    if geometries is None:
        geometries = [at(*xy, grid) for xy in CLICKS.values()]
        columns = columns or {"object": list(CLICKS), "storeys": [4, 1, 2, 3]}
    crs = GRIDS[grid][1] if crs == "grid" else crs
    binary = np.array([shapely.to_wkb(one) for one in geometries], dtype=object)
    values = [np.array(one, dtype=object if isinstance(one[0], str) else None) for one in columns.values()]
    more = {"crs": None if crs is None else crs.to_wkt(), "driver": DRIVERS[path.suffix], "geometry_type": "Unknown"}
    with quiet(UserWarning):  # a missing reference system
        write(path, binary, values, list(columns), **more)
    return path
