"""What can be wrong with prompts: columns, labels, geometries, ids, reference systems."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError

from vfm_isrefiner.geo.ground import Grid
from vfm_isrefiner.geo.vector import VectorError

POINTS, AREAS = ("Point", "MultiPoint"), ("Polygon", "MultiPolygon")
TOLD = 5  # features that an error names


def field_of(path: Path, columns: dict[str, NDArray], wanted: str | None, usual: str) -> str | None:
    if wanted is None:
        return usual if usual in columns else None
    if wanted not in columns:
        there = ", ".join(columns) or "none"
        raise VectorError(f"{path} has no column {wanted!r}; it has {there}. Name one of these as the {usual} column.")
    return wanted


def positive_of(path: Path, numbers: NDArray, labels: NDArray | None) -> NDArray[np.bool_]:
    if labels is None:
        return np.ones(len(numbers), bool)
    listed = labels.tolist()
    wrong = [k for k, label in enumerate(listed) if label is None or not (isinstance(label, str) or label in (0, 1))]
    text = {k: label.strip() for k, label in enumerate(listed) if isinstance(label, str)}
    wrong += [k for k, label in text.items() if label not in ("0", "1")]
    if wrong:
        raise VectorError(
            f"{path}: labels are 1 (on the object) or 0 (off it); {told('feature', numbers[wrong])} has "
            f"{', '.join(sorted({repr(listed[k]) for k in wrong})[:TOLD])}. Correct them, or name another label column."
        )
    return np.array([text.get(k, label) in ("1", 1) for k, label in enumerate(listed)], bool)


def check_kinds(path: Path, numbers: NDArray, geometries: NDArray, positive: NDArray, there: NDArray) -> None:
    for which in np.flatnonzero(there):
        kind = geometries[which].geom_type
        if kind not in (*POINTS, *AREAS):
            raise VectorError(
                f"{path}: feature {numbers[which]} is a {kind}; points, or polygons to refine, were expected. Remove it."
            )
        if kind in AREAS and not positive[which]:
            raise VectorError(
                f"{path}: feature {numbers[which]} is a {kind} of label 0; an object starts from a polygon, and only points "
                "are off it. Make it a point, or its label 1."
            )


def common_crs(path: Path, layer_crs: str | None, grid: Grid) -> str | None:
    """The reference system of the prompts; None where both sides have none."""
    source = None if layer_crs is None or "Undefined" in layer_crs else layer_crs
    if grid.crs is None and source is not None:
        if path.suffix.lower() in (".geojson", ".json") and name_of(source) == "EPSG:4326":
            return None
        raise VectorError(
            f"{path} is in {name_of(source)} and the scene has no reference system. Give prompts in pixels (column, row) "
            "without one, or georeference the scene: gdal_edit.py -a_srs."
        )
    if grid.crs is not None and source is None:
        raise VectorError(
            f"{path} has no reference system and the scene is in {name_of(grid.crs)}. Say which one the prompts are in: "
            f"ogr2ogr -a_srs {name_of(grid.crs)} out.gpkg {path.name}, if it is the scene's."
        )
    return source


def name_of(crs: CRS | str | None) -> str:
    if crs is None:
        return "none"
    try:
        return CRS.from_user_input(crs).to_string()[:80]
    except CRSError:
        return str(crs)[:80]


def keys_of(path: Path, numbers: NDArray, values: NDArray) -> list[str]:
    missing = [k for k, one in enumerate(values) if one is None or one != one or one == ""]
    if missing:
        raise VectorError(f"{path}: {told('feature', numbers[missing])} has no object id. Fill the column, or name another.")
    return [str(int(one)) if isinstance(one, float) and one.is_integer() else str(one) for one in values]


def told(what: str, names: Sequence[Any] | NDArray) -> str:
    """The first few of them."""
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return f"{what} {', '.join(str(one) for one in names[:TOLD])}{more}"
