"""Finished objects as GeoPackage, GeoJSON, Shapefile, COCO JSON or a GeoTIFF of ids."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vfm_isrefiner.batch.finished import Finished
from vfm_isrefiner.data.run_lengths import encoded
from vfm_isrefiner.files import write_whole
from vfm_isrefiner.geo.area import area_m2
from vfm_isrefiner.geo.ground import Grid
from vfm_isrefiner.geo.id_raster import write_ids
from vfm_isrefiner.geo.polygonise import polygonise
from vfm_isrefiner.geo.prompt_layer import PromptLayer
from vfm_isrefiner.geo.vector_out import DRIVERS, write_polygons

COCO, IDS = (".json",), (".tif", ".tiff")
SUFFIXES = (*DRIVERS, *COCO, *IDS)
OWN = ("object", "score", "area_m2", "area_px", "clicks", "cut")  # columns that are made here


@dataclass(frozen=True)
class Outcome:
    """Objects of a scene, in the order of the prompts.

    Attributes:
        scene: its file's name.
        grid: of the scene.
        prompts: what was asked.
        finished: one for each of `prompts.objects`.
        simplify: tolerance of the polygons in metres.
    """

    scene: str
    grid: Grid
    prompts: PromptLayer
    finished: Sequence[Finished]
    simplify: float = 0.0

    def polygons(self) -> list[Any]:
        """In the coordinates of the scene."""
        grid = self.grid
        return [polygonise(one.mask, grid.transform, one.corner, crs=grid.crs, simplify=self.simplify) for one in self.finished]

    def columns(self, polygons: Sequence[Any]) -> dict[str, NDArray]:
        """The prompts' attributes, of the first feature of each object, then what was found.

        The column of the labels, which are the clicks', is left out. An attribute named like one of `OWN` is called
        prompt_NAME. `area_m2` is that of the polygon, `area_px` that of the mask.
        """
        prompts = self.prompts
        own = [name for name in OWN if name != "object" or prompts.object_field is None]
        rows = np.array([one.row for one in prompts.objects], np.int64)
        columns = {
            f"prompt_{name}" if name.lower() in own else name: values[rows]
            for name, values in prompts.attributes.items()
            if name != prompts.label_field
        }
        if "object" in own:
            columns = {"object": np.array([int(one.name) for one in prompts.objects], np.int64), **columns}
        return columns | {
            "score": np.array([round(one.score, 6) for one in self.finished], np.float64),
            "area_m2": np.array([area_m2(one, self.grid.crs) for one in polygons], np.float64),
            "area_px": np.array([np.count_nonzero(one.mask) for one in self.finished], np.int64),
            "clicks": np.array([one.clicks for one in self.finished], np.int32),
            "cut": np.array([one.cut for one in self.finished], np.int32),
        }


def check_suffix(out: Path) -> None:
    """Raise `ValueError` where the suffix of `out` means no format."""
    if out.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"--out {out}: the suffix {out.suffix!r} means no format. Name it .gpkg (GeoPackage), .geojson, .shp (Shapefile), "
            ".json (COCO) or .tif (GeoTIFF of ids)."
        )


def check_category(prompts: PromptLayer, category_field: str | None) -> None:
    """Raise `ValueError` where the prompts have no such column."""
    if category_field is not None and category_field not in prompts.attributes:
        there = ", ".join(prompts.attributes) or "none"
        raise ValueError(f"--category {category_field}: the prompts have no such column; they have {there}.")


def write_outcome(outcome: Outcome, out: Path, layer: str | None = None, category_field: str | None = None) -> list[str]:
    """Write `out`, in the format of its suffix; it appears when it is complete.

    Args:
        layer: name of the layer in a GeoPackage; None: the file's.
        category_field: the attribute that names the categories of COCO.

    Returns:
        What the user ought to know, a line each.

    Raises:
        ValueError: unknown suffix. OSError: it cannot be written.
    """
    check_suffix(out)
    polygons = outcome.polygons()
    columns = outcome.columns(polygons)
    if out.suffix.lower() in DRIVERS:
        write_polygons(out, polygons, columns, outcome.grid.crs, layer)
        return []
    if out.suffix.lower() in COCO:
        write_whole(out, json.dumps(_coco(outcome, columns, category_field)).encode())
        return []
    return _write_ids(outcome, columns, out)


def _coco(outcome: Outcome, columns: dict[str, NDArray], category_field: str | None) -> dict[str, Any]:
    """Compressed run lengths, which keep holes; attributes under "attributes"."""
    height, width = outcome.grid.size
    kinds = ["object"] * len(outcome.finished)
    if category_field is not None:
        rows = [one.row for one in outcome.prompts.objects]
        kinds = [str(one) for one in outcome.prompts.attributes[category_field][rows].tolist()]
    names = list(dict.fromkeys(kinds))
    annotations = []
    for number, (one, kind) in enumerate(zip(outcome.finished, kinds, strict=True)):
        (row, column), (tall, wide) = one.corner, one.size
        mask = one.mask
        counts = encoded(torch.from_numpy(mask), (height, width), (column, row)).decode()
        annotations.append(
            {
                "id": number + 1,
                "image_id": 1,
                "category_id": names.index(kind) + 1,
                "segmentation": {"size": [height, width], "counts": counts},
                "bbox": [column, row, wide, tall],
                "area": int(np.count_nonzero(mask)),
                "iscrowd": 0,
                "score": float(columns["score"][number]),
                "attributes": {name: _plain(values[number]) for name, values in columns.items()},
            }
        )
    return {
        "images": [{"id": 1, "file_name": outcome.scene, "width": width, "height": height}],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
        "annotations": annotations,
    }


def _write_ids(outcome: Outcome, columns: dict[str, NDArray], out: Path) -> list[str]:
    """The raster, and a table of its ids beside it."""
    finished = outcome.finished
    boxes = [(*one.corner, one.corner[0] + one.size[0], one.corner[1] + one.size[1]) for one in finished]
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["id", *columns])
    for number in range(len(finished)):
        rows.writerow([number + 1, *(_plain(values[number]) for values in columns.values())])
    write_whole(out.with_suffix(".ids.csv"), table.getvalue().encode())
    lost = write_ids(out, outcome.grid, boxes, lambda number: finished[number].mask)
    return [
        f"object {finished[number].name}: {pixels:,} of its pixels are an earlier object's in {out.name}"
        for number, pixels in sorted(lost.items())
    ]


def _plain(value: Any) -> Any:
    """For JSON and tables: numbers and text as they are, dates as text, what is missing as None."""
    value = value.item() if isinstance(value, np.generic) and value.dtype.kind in "biuf" else value
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if isinstance(value, (bool, int, float, str)) else str(value)
