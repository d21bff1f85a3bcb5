"""`describe`: what a raster's header says of its bands and its place, for people who choose among them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rasterio.enums import ColorInterp

from vfm_isrefiner.geo.ground import Grid, ground_sampling_distance
from vfm_isrefiner.geo.opening import opened


@dataclass(frozen=True)
class Described:
    """The header of a raster.

    Attributes:
        grid: its pixels on the ground.
        bands: how many.
        dtype: of the values as stored, such as "uint16".
        names: of each band: its description in the file, else what it is ("red"), else "band 3".
        colours: 1-based bands that hold no alpha.
        overviews: has the file smaller versions of itself?
    """

    grid: Grid
    bands: int
    dtype: str
    names: tuple[str, ...]
    colours: tuple[int, ...]
    overviews: bool = False

    @property
    def default_bands(self) -> tuple[int, int, int] | None:
        """Three bands where `RasterWindows` would not know which: a file of two. None: it knows."""
        return (self.colours[0], self.colours[0], self.colours[1]) if len(self.colours) == 2 else None


def describe(path: str | Path) -> Described:
    """The header of `path`. Raises `RasterError`."""
    with opened(path) as dataset:
        meanings = dataset.colorinterp
        known = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha, ColorInterp.palette)
        names = [
            text or (meaning.name if meaning in known else f"band {number}")
            for number, (text, meaning) in enumerate(zip(dataset.descriptions, meanings, strict=True), 1)
        ]
        colours = tuple(number for number, meaning in enumerate(meanings, 1) if meaning != ColorInterp.alpha)
        grid = Grid((dataset.height, dataset.width), dataset.transform, dataset.crs, ground_sampling_distance(dataset))
        return Described(grid, dataset.count, dataset.dtypes[0], tuple(names), colours, bool(dataset.overviews(1)))
