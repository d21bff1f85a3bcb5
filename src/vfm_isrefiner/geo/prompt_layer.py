"""`read_prompts`: points and rough polygons of a vector file, object by object, in pixels of a raster."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from numpy.typing import NDArray

from vfm_isrefiner.geo.ground import Grid
from vfm_isrefiner.geo.opening import quiet
from vfm_isrefiner.geo.prompt_checks import (
    AREAS,
    POINTS,
    check_kinds,
    common_crs,
    field_of,
    keys_of,
    name_of,
    positive_of,
    told,
)
from vfm_isrefiner.geo.rasterise import draw, in_pixels
from vfm_isrefiner.geo.vector import VectorError, check_length, guarded, layer_name, polygonal, projected

OBJECT_FIELD, LABEL_FIELD = "object", "label"
DRAWN_PIXELS = 1_000_000  # of a polygon that is drawn to see whether a pixel of it lies in the scene


@dataclass(frozen=True)
class PromptObject:
    """The prompts of one object.

    Attributes:
        name: its id as text; the feature's number in the file where there is no id.
        row: of its first feature in `PromptLayer.attributes`.
        points: (N, 2) x, y in pixels; pixel centres are whole numbers. In the order of the file.
        positive: (N,) bool.
        shape: polygons to start from, in (column, row) of pixel corners; None where it has none.
    """

    name: str
    row: int
    points: NDArray[np.float64]
    positive: NDArray[np.bool_]
    shape: shapely.Geometry | None = None

    def box(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Top, left, bottom, right of all of its prompts in a raster of `size` (height, width), the last two exclusive."""
        low, high = [np.floor(self.points + 0.5)], [np.floor(self.points + 1.5)]
        if self.shape is not None:
            low.append(np.floor([self.shape.bounds[:2]]))
            high.append(np.ceil([self.shape.bounds[2:]]))
        limits = (size[1], size[0])
        left, top = (int(one) for one in np.concatenate(low).min(0).clip(0, np.array(limits) - 1))
        right, bottom = (int(one) for one in np.concatenate(high).max(0).clip(1, limits))
        return top, left, max(bottom, top + 1), max(right, left + 1)

    def mask(self, rows: slice, columns: slice) -> NDArray[np.bool_]:
        """The pixels of `shape` in a window of the raster, (H, W)."""
        mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
        drawn = None if self.shape is None else draw(self.shape, (rows, columns))
        if drawn is not None:
            x, y, width, height = drawn.bbox
            mask[y - rows.start : y - rows.start + height, x - columns.start : x - columns.start + width] = drawn.mask
        return mask


@dataclass(frozen=True)
class PromptLayer:
    """The objects of a layer.

    Attributes:
        objects: in the order of their first features.
        attributes: column -> (M,) values of all features, objects' ids and labels among them.
        object_field: the column of the ids, None where each feature is its own object.
        label_field: the column of the labels, None where all are positive.
        outside: features that lie outside of the raster or have no place in its system; left out.
        empty: features without geometry; left out.
    """

    objects: tuple[PromptObject, ...]
    attributes: dict[str, NDArray]
    object_field: str | None
    label_field: str | None = None
    outside: int = 0
    empty: int = 0


def read_prompts(
    path: str | Path,
    grid: Grid,
    *,
    layer: str | None = None,
    object_field: str | None = None,
    label_field: str | None = None,
    skip_outside: bool = False,
) -> PromptLayer:
    """Points and polygons of a GeoPackage, GeoJSON or Shapefile, grouped into objects.

    Features of one id are one object: its points are clicks in the order of the file, its polygons together the area that it
    starts from. In a raster without reference system coordinates are its own: (column, row) of pixel corners, rows counted
    down, where it has no transform either. A GeoJSON that names no system, which to GDAL means degrees, is taken so there.

    Args:
        path: the file.
        grid: of the raster.
        layer: which one; None takes the only one that has geometries.
        object_field: the column of ids; None: "object" where there is one, else each feature is an object.
        label_field: the column of 1 (on the object) and 0 (off it); None: "label" where there is one, else all are 1.
        skip_outside: leave out what lies outside of the raster, and objects that have no positive prompt in it.

    Raises:
        VectorError: the file is missing or broken or has not that layer or column; a reference system on one side only; no
            object; a label, geometry or id that is none; a prompt outside of the raster; an object without a positive one.
    """
    path = Path(path)
    crs, numbers, geometries, columns = _read_file(path, layer)
    ids, labels = (field_of(path, columns, *which) for which in ((object_field, OBJECT_FIELD), (label_field, LABEL_FIELD)))
    positive = positive_of(path, numbers, None if labels is None else columns[labels])
    there = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
    check_kinds(path, numbers, geometries, positive, there)
    placed = _placed(geometries, there, common_crs(path, crs, grid), grid)
    inside = np.array([one is not None and _inside(one, grid.size) for one in placed], bool)
    lost = numbers[there & ~inside]
    if len(lost) and not skip_outside:
        raise VectorError(_outside(path, lost, len(numbers), crs, grid))
    keys = [str(number) for number in numbers] if ids is None else keys_of(path, numbers, columns[ids])
    objects = _grouped(keys, placed, positive, inside)
    if not skip_outside:
        _check_positive(path, objects)
    if not (objects := tuple(one for one in objects if _has_positive(one))):
        raise VectorError(f"{path} has no object in the scene ({len(numbers)} features). Give points or polygons on it.")
    return PromptLayer(objects, columns, ids, labels, len(lost), int((~there).sum()))


def _read_file(path: Path, layer: str | None) -> tuple[str | None, NDArray, NDArray, dict[str, NDArray]]:
    if not os.path.isfile(path):
        raise VectorError(f"There is no file {path}. Check the path of the prompts.")
    if path.suffix.lower() == ".shp":
        check_length(path)
    name = layer_name(path, layer)
    return guarded(path, lambda: _read(path, name))


def _read(path: Path, layer: str) -> tuple[str | None, NDArray, NDArray, dict[str, NDArray]]:
    """Reference system, feature ids, geometries (None: none) and columns, in the order of the ids."""
    with quiet(Warning):  # what GDAL notes about rings and encodings
        meta, numbers, binary, fields = pyogrio.raw.read(path, layer=layer, force_2d=True, return_fids=True)
    order = np.argsort(numbers, kind="stable")
    geometries = shapely.from_wkb(binary, on_invalid="ignore")
    broken = ~shapely.is_valid(geometries) & np.isin(shapely.get_type_id(geometries), (3, 6))
    geometries[broken] = [polygonal(shapely.make_valid(one)) for one in geometries[broken]]
    columns = {str(field): values[order] for field, values in zip(meta["fields"], fields, strict=True)}
    return meta["crs"], numbers[order], geometries[order], columns


def _placed(geometries: NDArray, there: NDArray[np.bool_], source: str | None, grid: Grid) -> NDArray:
    """Geometries in (column, row); None for what is not there or has no place in the raster's reference system."""
    placed = np.full(len(geometries), None, dtype=object)
    placed[there] = [
        None if one is None else in_pixels(one, grid.transform) for one in projected(geometries[there], source, grid.crs)
    ]
    return placed


def _outside(path: Path, lost: NDArray, count: int, crs: str | None, grid: Grid) -> str:
    return (
        f"{path}: {len(lost)} of {count} prompts lie outside of the scene, {grid.size[1]} pixels wide and {grid.size[0]} high: "
        f"{told('feature', lost)}. Check both reference systems ({name_of(crs)} and {name_of(grid.crs)}), or leave "
        "such prompts out with --skip-outside."
    )


def _has_positive(one: PromptObject) -> bool:
    return one.shape is not None or bool(one.positive.any())


def _check_positive(path: Path, objects: tuple[PromptObject, ...]) -> None:
    idle = [one.name for one in objects if not _has_positive(one)]
    if idle:
        raise VectorError(f"{path}: {told('object', idle)} has no positive point. Give each object a point of label 1.")


def _inside(shape: shapely.Geometry, size: tuple[int, int]) -> bool:
    """Do all of its points, or a pixel of its area, lie in the raster?"""
    if shape.geom_type in AREAS:
        left, top, right, bottom = shape.bounds
        if (right - left) * (bottom - top) > DRAWN_PIXELS:
            return bool(shape.intersects(shapely.box(0, 0, size[1], size[0])))
        return draw(shape, (slice(0, size[0]), slice(0, size[1]))) is not None
    xy = shapely.get_coordinates(shape)
    return bool(((xy >= 0) & (xy < (size[1], size[0]))).all())


def _grouped(
    keys: list[str], placed: NDArray, positive: NDArray[np.bool_], inside: NDArray[np.bool_]
) -> tuple[PromptObject, ...]:
    groups: dict[str, list[int]] = {}
    for k in np.flatnonzero(inside).tolist():
        groups.setdefault(keys[k], []).append(k)
    objects = []
    for key, members in groups.items():
        points = [k for k in members if placed[k].geom_type in POINTS]
        areas = [placed[k] for k in members if placed[k].geom_type in AREAS]
        xy = [shapely.get_coordinates(placed[k]) - 0.5 for k in points]
        labels = [np.full(len(each), positive[k]) for k, each in zip(points, xy, strict=True)]
        objects.append(
            PromptObject(
                key,
                members[0],
                np.concatenate([np.zeros((0, 2)), *xy]),
                np.concatenate([np.zeros(0, bool), *labels]),
                shapely.union_all(areas) if areas else None,
            )
        )
    return tuple(objects)
