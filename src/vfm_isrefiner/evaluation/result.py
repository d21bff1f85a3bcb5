"""`InstanceResult`: what an evaluation found out about one instance, and its row in a Parquet file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

OK, FULL_IMAGE, EMPTY, ALL_IGNORED = "ok", "full_image", "empty", "all_ignored"
EVALUATED, SKIPPED = (OK, FULL_IMAGE), (EMPTY, ALL_IGNORED)
BOUNDARY_CLICKS = (1, 5, 10, 20)


@dataclass(frozen=True)
class InstanceResult:
    """One instance.

    Attributes:
        index: its place in the data set. id, source, category: as its `Instance` has them. image: name of its image.
        area: object pixels, those to ignore left out. bbox: first row, first column, height, width of these pixels.
        status: "ok"; "full_image": every counted pixel is object (evaluated like the others); "empty": no object pixel, or
            "all_ignored": no pixel counts (both cannot be clicked and have no IoU).
        ious: after each click. boundary_ious: after the clicks of `BOUNDARY_CLICKS` that were made.
        clicks: (row, column, positive) of each.
        seconds_network: its share of the time inside the segmenter; seconds_rest: of everything else.
    """

    index: int
    id: str
    source: str
    category: str
    image: str
    area: int
    bbox: tuple[int, int, int, int]
    status: str
    ious: tuple[float, ...] = ()
    boundary_ious: tuple[float, ...] = ()
    clicks: tuple[tuple[float, float, bool], ...] = ()
    seconds_network: float = 0.0
    seconds_rest: float = 0.0

    @property
    def evaluated(self) -> bool:
        return self.status in EVALUATED


SCHEMA = pa.schema(
    [
        ("index", pa.int64()),
        *((name, pa.string()) for name in ("id", "source", "category", "image", "status")),
        ("area", pa.int64()),
        ("bbox", pa.list_(pa.int64())),  # first row, first column, height, width
        ("ious", pa.list_(pa.float64())),
        ("boundary_ious", pa.list_(pa.float64())),
        ("click_row", pa.list_(pa.float64())),
        ("click_column", pa.list_(pa.float64())),
        ("click_positive", pa.list_(pa.bool_())),
        ("seconds_network", pa.float64()),
        ("seconds_rest", pa.float64()),
    ]
)


def to_row(result: InstanceResult) -> dict[str, Any]:
    """One row of `SCHEMA`."""
    plain = {name: getattr(result, name) for name in SCHEMA.names if not name.startswith("click_")}
    row, column, positive = zip(*result.clicks, strict=True) if result.clicks else ((), (), ())
    return {**plain, "click_row": row, "click_column": column, "click_positive": positive}


def from_row(row: dict[str, Any]) -> InstanceResult:
    """What `to_row` took."""
    columns = [row.pop(f"click_{name}") for name in ("row", "column", "positive")]
    lists = {name: tuple(row[name]) for name in ("bbox", "ious", "boundary_ious")}
    return InstanceResult(**{**row, **lists}, clicks=tuple(zip(*columns, strict=True)))
