"""`AnnotatedScene`: a raster that is clicked on: how it is read, where it lies, and the file of its objects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from vfm_isrefiner.annotator.readers import Kept, Readers
from vfm_isrefiner.annotator.store import Store
from vfm_isrefiner.annotator.tiles import TILE, levels_of
from vfm_isrefiner.batch.windows import Window
from vfm_isrefiner.geo.described import describe
from vfm_isrefiner.geo.raster import Raster
from vfm_isrefiner.geo.stretch import Stretch

DEFAULT_LABEL = "object"
KEPT_TILES = 2**25  # bytes
LARGE = 8192  # pixels along a side, from which on a scene ought to have overviews


@final
class AnnotatedScene:
    """One raster and its objects.

    Args:
        id: what the API calls it.
        path: of the raster. out: the GeoPackage of its objects.
        folder: for what is kept while the process lives.
        labels: classes that the page offers.
        bands, stretch: what the network sees, and the page at first; see `read_raster`.

    Raises:
        RasterError: the raster cannot be read so. ValueError, OSError: as `ObjectsFile`.
    """

    def __init__(
        self,
        id: str,
        path: Path,
        out: Path,
        folder: Path,
        labels: Sequence[str] = (),
        bands: Sequence[int] | None = None,
        stretch: Stretch = "auto",
    ) -> None:
        self.id, self.path = id, path
        self.described = describe(path)
        self.grid = self.described.grid
        self.size = self.grid.size
        self.bands = tuple(bands) if bands is not None else self.described.default_bands
        self.stretch: Stretch = stretch
        self.readers, self.kept = Readers(path, folder), Kept(KEPT_TILES)
        with self.readers.borrow(self.bands, stretch) as handle:
            self.shown_bands = handle.bands if len(handle.bands) == 3 else handle.bands * 3
        self.store = Store(out, self.grid)
        self._labels = tuple(labels)

    @property
    def labels(self) -> list[str]:
        """Those that were given, then those that its objects have."""
        used = [one.label for one in self.store.objects() if one.label]
        return list(dict.fromkeys([*self._labels, *used])) or [DEFAULT_LABEL]

    @property
    def georeferenced(self) -> bool:
        """Does the file say where its pixels lie?"""
        return not self.grid.transform.is_identity

    @property
    def advice(self) -> str | None:
        """What would make it quicker to look at, in one line."""
        if max(self.size) <= LARGE or self.described.overviews:
            return None
        return f"{self.path.name} has no overviews, so that it is slow to look at from afar: gdaladdo -r average {self.path}"

    def read(self, window: Window) -> Raster:
        """A window as the network sees it. Raises `RasterError`."""
        with self.readers.borrow(self.bands, self.stretch) as handle:
            return handle.read(window.rows, window.columns)

    def told(self) -> dict[str, Any]:
        """As the API lists it."""
        height, width = self.size
        return {
            "id": self.id,
            "name": self.path.name,
            "width": width,
            "height": height,
            "bands": self.described.bands,
            "dtype": self.described.dtype,
            "crs": None if self.grid.crs is None else self.grid.crs.to_string(),
            "labels": self.labels,
            "tile_size": TILE,
            "levels": levels_of(self.size),
            "gsd_m": self.grid.gsd if math.isfinite(self.grid.gsd) else None,
        }

    def told_wholly(self) -> dict[str, Any]:
        """As the API tells it alone."""
        choices = ["percentile", "minmax"]
        if self.described.dtype == "uint8":
            choices.insert(0, "none")
        shown = self.stretch if self.stretch != "auto" else choices[0]
        return self.told() | {
            "geotransform": list(self.grid.transform)[:6] if self.georeferenced else None,
            "band_names": list(self.described.names),
            "default_bands": list(self.shown_bands),
            "stretches": choices,
            "default_stretch": shown,
        }

    def close(self) -> None:
        """Give its files free."""
        self.readers.close()
        self.store.close()
