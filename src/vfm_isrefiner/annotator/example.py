"""A drawn scene with a place on the ground, for the first try."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from affine import Affine

from vfm_isrefiner.data.synthetic import draw_scene
from vfm_isrefiner.geo.rgb_file import write_rgb

SIZE, GSD, EPSG = (1024, 1280), 0.3, 32633
CORNER = (392_000.0, 5_820_000.0)  # easting and northing of the upper left corner
SEED = 11


def example_scene(folder: Path, size: tuple[int, int] = SIZE, kind: str = "urban") -> Path:
    """The scene as a GeoTIFF in `folder`, drawn where it is not there yet; the same every time.

    Raises:
        OSError: it cannot be written.
    """
    path = folder / f"example-{kind}.tif"
    if not path.exists():
        image, _, _ = draw_scene(np.random.default_rng([SEED, *size]), size, kind, GSD)
        write_rgb(path, image, Affine(GSD, 0, CORNER[0], 0, -GSD, CORNER[1]), EPSG)
    return path
