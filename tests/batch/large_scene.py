"""A scene of 30,000 × 30,000 pixels through `isrefiner predict` while its memory is watched.

    python tests/batch/large_scene.py [SIDE [OBJECTS [CHECKPOINT]]]

writes the scene and points on it below a temporary folder, predicts in a process of its own, to a GeoPackage and to a GeoTIFF
of ids, and prints the peak memory of each, and how much of it came after the imports. Without a checkpoint a network of three
lines finds the objects, so that what is measured is the scene's share.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import shapely
from affine import Affine
from pyogrio.raw import write
from rasterio.windows import Window

STRIP, SPACING, OBJECT = 512, 1024, 120  # rows written at a time; pixels between objects, and their side
TRANSFORM, CRS = Affine(0.3, 0, 500_000, 0, -0.3, 6_000_000), "EPSG:32733"
MIB = 2**20

RUN = """
import sys
from pathlib import Path
import vfm_isrefiner.batch.job
from batch_scenes import predictor
from vfm_isrefiner.cli.predict import main
from vfm_isrefiner.predictor import Predictor

def peak():
    # ru_maxrss begins with the peak of the process that started this one
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

if sys.argv[1] == "known":
    Predictor.from_checkpoint = lambda path, **settings: predictor()
before = peak()
main(sys.argv[2:])
print("peaks", peak(), peak() - before)
"""


def write_large(path: Path, side: int) -> None:
    """Bright squares on a dark, repeated texture, in tiles of 512 pixels."""
    rng = np.random.default_rng(0)
    texture = rng.integers(20, 60, (STRIP // 8, -(-side // 8)), dtype=np.uint8).repeat(8, 0).repeat(8, 1)[:, :side]
    profile = {"height": side, "width": side, "count": 3, "dtype": "uint8", "crs": CRS, "transform": TRANSFORM}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1, "bigtiff": "yes"}
    columns = np.arange(side) % SPACING < OBJECT
    with rasterio.open(path, "w", driver="GTiff", **profile, **tiles) as file:
        for top in range(0, side, STRIP):
            rows = np.arange(top, min(side, top + STRIP))
            strip = np.where((rows % SPACING < OBJECT)[:, None] & columns, np.uint8(200), texture[: len(rows)])
            for band in (1, 2, 3):
                file.write(strip, band, window=Window(0, top, side, len(rows)))


def write_points(path: Path, side: int, count: int) -> None:
    """On objects drawn at random over the whole scene."""
    across = -(-side // SPACING)
    chosen = np.random.default_rng(1).choice(across**2, min(count, across**2), replace=False)
    pixels = [
        (number % across * SPACING + OBJECT // 2 + 0.5, number // across * SPACING + OBJECT // 2 + 0.5) for number in chosen
    ]
    inside = [one for one in pixels if max(one) < side]
    points = np.array([shapely.to_wkb(shapely.Point(TRANSFORM @ one)) for one in inside], dtype=object)
    write(path, points, [np.arange(len(inside))], ["object"], crs=CRS, driver="GPKG", geometry_type="Point")


def main() -> None:
    """Write, predict, print."""
    side, count, checkpoint = (*sys.argv[1:], *("30000", "100", "")[len(sys.argv) - 1 :])
    with tempfile.TemporaryDirectory() as folder:
        root, begun = Path(folder), time.monotonic()
        write_large(root / "scene.tif", int(side))
        write_points(root / "points.gpkg", int(side), int(count))
        print(f"{side} × {side} pixels written in {time.monotonic() - begun:.0f} s", flush=True)
        files = ["--prompts", str(root / "points.gpkg"), "--checkpoint", checkpoint or str(root / "points.gpkg")]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        for out in ("out.gpkg", "out.tif"):
            begun = time.monotonic()
            words = [sys.executable, "-c", RUN, "file" if checkpoint else "known", str(root / "scene.tif"), *files]
            done = subprocess.run(
                [*words, "--out", str(root / out)], stdout=subprocess.PIPE, text=True, check=True, env=environment
            )
            summary, peaks = done.stdout.strip().splitlines()
            peak, growth = (int(one) / MIB for one in peaks.split()[1:])
            told = f"{summary.rpartition('/')[2]} in {time.monotonic() - begun:.0f} s"
            print(f"{told}; peak {peak:.0f} MiB, {growth:.0f} of them after the imports", flush=True)


if __name__ == "__main__":
    main()
