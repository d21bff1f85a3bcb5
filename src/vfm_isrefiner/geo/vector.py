"""`read_polygons`: the polygons of a vector file in the reference system of a raster."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from numpy.typing import NDArray
from pyogrio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform

from vfm_isrefiner.geo.opening import FAULTS as RASTERIO_FAULTS
from vfm_isrefiner.geo.opening import quiet

VECTOR_SUFFIXES = (".gpkg", ".geojson", ".json", ".shp")
POLYGONS = ("Polygon", "MultiPolygon")

# pyogrio's own errors are kinds of the first two.
FAULTS = (RuntimeError, ValueError, OSError, MemoryError, TypeError, CPLE_BaseError)

Result = TypeVar("Result")


class VectorError(ValueError):
    """A vector file cannot be read as asked. The message names the file, what was found and what to do."""


@dataclass(frozen=True)
class Feature:
    """One feature of a layer.

    Attributes:
        number: its feature id, unique in the layer and kept by the file.
        category: the value of the category field as text, or "".
        geometry: Polygon or MultiPolygon, valid in the layer's own reference system, without Z.
    """

    number: int
    category: str
    geometry: shapely.Geometry


@dataclass(frozen=True)
class Layer:
    """The polygons of a layer, and how many features were not taken as they are.

    Attributes:
        features: in the order of their numbers.
        repaired: features that crossed themselves and were made valid.
        empty: features without a geometry that has an area; left out.
        unplaced: features that have no place in the raster's reference system; left out.
    """

    features: tuple[Feature, ...]
    repaired: int = 0
    empty: int = 0
    unplaced: int = 0


def read_polygons(
    path: str | Path, crs: CRS | str | None = None, layer: str | None = None, category_field: str | None = None
) -> Layer:
    """The polygons of a GeoPackage, GeoJSON or Shapefile.

    The parts of a MultiPolygon are one feature, holes stay holes, and vertices are projected (edges between them are straight
    in the raster). Where the file or the raster has no reference system, coordinates are taken as the raster's own: (column,
    row) of a raster without a transform. So are those of a "geographic" layer that exceeds 360 degrees: a GeoJSON of projected
    coordinates that does not say so.

    Args:
        path: the file.
        crs: reference system of the raster, None where it has none.
        layer: which one; None takes the only one that has geometries.
        category_field: the field that names the classes, None for none.

    Raises:
        VectorError: the file is missing or broken, it has not that layer or field, or a feature is no polygon.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise VectorError(f"There is no file {path}. Check the path.")
    if path.suffix.lower() == ".shp":
        check_length(path)
    name = layer_name(path, layer)
    info = guarded(path, lambda: pyogrio.read_info(path, layer=name, force_feature_count=True))
    if category_field is not None and category_field not in list(info["fields"]):
        there = ", ".join(map(str, info["fields"])) or "none"
        raise VectorError(f"{path} has no field {category_field!r}; it has {there}. Name one of these as category_field.")
    columns = [] if category_field is None else [category_field]
    meta, numbers, geometries, fields = guarded(path, lambda: _read(path, name, columns))
    if len(numbers) != info["features"]:
        raise VectorError(
            f"{path} says it has {info['features']} features and {len(numbers)} can be read. It is damaged: fetch it again."
        )
    categories = [_text(value) for value in fields[0]] if columns else [""] * len(numbers)
    return _placed(path, numbers, categories, geometries, meta["crs"], crs)


def _read(path: Path, name: str, columns: list[str]) -> tuple[dict[str, Any], NDArray, NDArray, list[NDArray]]:
    """Layer's properties, feature ids, geometries (None: none) and fields."""
    with quiet(Warning):  # what GDAL notes about rings and encodings; what matters of it is counted
        meta, numbers, binary, fields = pyogrio.raw.read(path, layer=name, columns=columns, force_2d=True, return_fids=True)
        if binary is None:
            raise ValueError("no geometries")
        return meta, numbers, shapely.from_wkb(binary, on_invalid="ignore"), fields


def guarded(path: Path, read: Callable[[], Result]) -> Result:
    """What `read` gives; GDAL's faults as a VectorError that names the file."""
    try:
        return read()
    except FAULTS as error:
        raise VectorError(
            f"{path} cannot be read as a vector file ({error}). It may be cut off, or a part of it missing "
            "(a Shapefile is .shp, .shx and .dbf): fetch it again."
        ) from error


def check_length(path: Path) -> None:
    """Refuse a .shp that is shorter than its header says: its last features would be read as empty ones."""

    def head() -> bytes:
        with path.open("rb") as file:
            return file.read(28)

    header = guarded(path, head)
    said, found = 2 * int.from_bytes(header[24:28], "big"), path.stat().st_size  # ESRI Shapefile Technical Description, p. 3
    if found < said:
        raise VectorError(f"{path} has {found} bytes and says it has {said}. It is cut off: fetch it again.")


def layer_name(path: Path, layer: str | None) -> str:
    """`layer`, or the only one that has geometries; a VectorError where that is none or several."""
    listed = guarded(path, lambda: [(str(name), kind) for name, kind in pyogrio.list_layers(path)])
    names = [name for name, kind in listed if kind is not None]
    if layer is None and len(names) == 1:
        return names[0]
    if layer is not None and layer in names:
        return layer
    if not names:
        raise VectorError(f"{path} has no layer with geometries. Give a file of polygons.")
    found = f"has {len(names)} layers" if layer is None else f"has no layer {layer!r}"
    raise VectorError(f"{path} {found}. Name one: layer={' or layer='.join(names)}.")


def _text(value: Any) -> str:
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return "" if missing else str(value)


def _placed(
    path: Path, numbers: NDArray, categories: list[str], geometries: NDArray, layer_crs: str | None, crs: CRS | str | None
) -> Layer:
    """Geometries (None: none) checked, repaired and projected."""
    kinds = shapely.get_type_id(geometries)
    there = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
    for which in np.flatnonzero(there & ~np.isin(kinds, (3, 6)))[:1]:
        kind = geometries[which].geom_type
        raise VectorError(
            f"{path}: feature {numbers[which]} is a {kind}; polygons were expected. "
            "Remove it, or name the layer of the polygons."
        )
    finite = np.zeros(len(geometries), bool)
    finite[there] = np.isfinite(shapely.bounds(geometries[there])).all(-1)
    broken = finite & ~shapely.is_valid(geometries)
    geometries[broken] = [polygonal(shapely.make_valid(one)) for one in geometries[broken]]
    usable = finite & (shapely.area(geometries) > 0)
    moved = np.array(projected(geometries[usable], layer_crs, crs), dtype=object)
    order = np.argsort(numbers[usable], kind="stable")
    chosen = np.flatnonzero(usable)
    features = [
        Feature(int(numbers[chosen[k]]), categories[chosen[k]], moved[k]) for k in order.tolist() if moved[k] is not None
    ]
    return Layer(tuple(features), int((broken & usable).sum()), int((~usable).sum()), int(usable.sum()) - len(features))


def polygonal(geometry: shapely.Geometry) -> shapely.Geometry:
    """The parts that are areas."""
    if geometry.geom_type in POLYGONS:
        return geometry
    parts = [part for one in shapely.get_parts(geometry) for part in shapely.get_parts(one)]
    return shapely.MultiPolygon([part for part in parts if part.geom_type == "Polygon"])


def projected(geometries: NDArray, source: str | None, target: CRS | str | None) -> list[shapely.Geometry | None]:
    """In `target`; None for what has no place there."""
    if not len(geometries) or source is None or target is None:
        return list(geometries)
    try:
        here, there = CRS.from_user_input(source), CRS.from_user_input(target)
    except CRSError:  # a reference system that PROJ does not know is as good as none
        return list(geometries)
    left, bottom, right, top = shapely.total_bounds(geometries)
    if here == there or (here.is_geographic and not (-360 <= left <= right <= 360 and -90 <= bottom <= top <= 90)):
        return list(geometries)
    try:
        return list(_moved(geometries, here, there))
    except RASTERIO_FAULTS:  # one point without a place fails all: one by one
        return [_moved_alone(geometry, here, there) for geometry in geometries]


def _moved(geometries: NDArray, here: CRS, there: CRS) -> NDArray:
    def projected(xy: NDArray) -> NDArray:
        return np.array(transform(here, there, xy[:, 0], xy[:, 1])).T

    return shapely.transform(geometries, projected)


def _moved_alone(geometry: shapely.Geometry, here: CRS, there: CRS) -> shapely.Geometry | None:
    try:
        moved = _moved(np.array([geometry]), here, there)[0]
    except RASTERIO_FAULTS:
        return None
    return moved if np.isfinite(moved.bounds).all() else None
