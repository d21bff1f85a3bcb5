"""`write_polygons`: polygons with attributes as a GeoPackage, GeoJSON or Shapefile that appears when it is complete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyogrio.raw
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from vfm_isrefiner.geo.appearing import appearing
from vfm_isrefiner.geo.opening import quiet
from vfm_isrefiner.geo.vector import FAULTS

DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".shp": "ESRI Shapefile"}
KINDS = {"GPKG": "MultiPolygon", "GeoJSON": "Unknown", "ESRI Shapefile": "Polygon"}  # GDAL's names for the layer's geometry
COMPANIONS = (".shp", ".shx", ".dbf", ".prj", ".cpg", ".qix", ".sbn", ".sbx", ".qpj")
LONGEST_NAME = 10  # characters of a Shapefile's field
TAKEN = ("fid", "geom", "ogc_fid")  # columns of its own that a GeoPackage has


def write_polygons(
    path: str | Path,
    geometries: Sequence[shapely.Geometry | None],
    columns: Mapping[str, NDArray],
    crs: CRS | None,
    layer: str | None = None,
) -> Path:
    """Write one feature each, in this order.

    Args:
        path: .gpkg, .geojson or .shp. One that is there is replaced.
        geometries: Polygon or MultiPolygon; None or an empty one becomes a feature without geometry.
        columns: attributes, (N,) of numbers, bools, datetime64, or objects: None or what is written as text.
        crs: of the coordinates, None where unknown. GeoJSON holds coordinates of any system and names it as GDAL does.
        layer: its name in a GeoPackage; None: the file's.

    Raises:
        ValueError: another suffix, or columns of another length. OSError: it cannot be written.
    """
    path = Path(path)
    driver = driver_of(path)
    wrong = {name: len(values) for name, values in columns.items() if len(values) != len(geometries)}
    if wrong:
        raise ValueError(f"{path}: columns of {len(geometries)} values were expected, one a feature, got {wrong}.")
    binary = np.array([None if one is None or one.is_empty else shapely.to_wkb(one) for one in geometries], dtype=object)
    names = list(columns) if driver == "GeoJSON" else field_names(columns, LONGEST_NAME if driver == "ESRI Shapefile" else 60)
    options: dict[str, object] = {"geometry_type": KINDS[driver]}
    if driver == "GPKG":
        options |= {"layer": layer or path.stem, "promote_to_multi": True}
    elif driver == "GeoJSON":
        options["layer_options"] = {"COORDINATE_PRECISION": "10" if crs is not None and crs.is_geographic else "6"}
    else:
        options["encoding"] = "UTF-8"
    with appearing(path, FAULTS) as temporary:
        with quiet(Warning):  # a missing reference system, and what Shapefiles shorten
            fields = [_writable(values) for values in columns.values()]
            pyogrio.raw.write(
                str(temporary), binary, fields, names, driver=driver, crs=None if crs is None else crs.to_wkt(), **options
            )
        if driver == "ESRI Shapefile":  # those of an older file of this name would speak of it
            for ending in set(COMPANIONS) - {one.suffix for one in temporary.parent.iterdir()}:
                path.with_suffix(ending).unlink(missing_ok=True)
    return path


def driver_of(path: str | Path) -> str:
    """GDAL's name of the format that the suffix of `path` means.

    Raises:
        ValueError: it means none of `DRIVERS`.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in DRIVERS:
        raise ValueError(f"{path} has the suffix {suffix!r}; polygons are written as {', '.join(DRIVERS)}.")
    return DRIVERS[suffix]


def field_names(wanted: Iterable[str], longest: int) -> list[str]:
    """Names of at most so many bytes, unlike each other and `TAKEN` whatever the case; those that need it end in a number."""
    names: list[str] = []
    taken = set(TAKEN)
    for name in wanted:
        short, number = _cut(name, longest), 1
        while short.lower() in taken:
            short, number = f"{_cut(name, longest - len(str(number)) - 1)}_{number}", number + 1
        taken.add(short.lower())
        names.append(short)
    return names


def _cut(name: str, length: int) -> str:
    return name.encode()[:length].decode(errors="ignore")


def _writable(values: NDArray) -> NDArray:
    """Objects become text or None; other types are GDAL's own."""
    if values.dtype.kind != "O":
        return values
    return np.array([None if one is None else str(one) for one in values], dtype=object)
