"""`Accepted`: an object that a person has finished, as it is on the disk."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from vfm_isrefiner.geo.outline import as_json, box_of


@dataclass(frozen=True)
class Accepted:
    """One row of the store.

    Attributes:
        id: its number, never given twice.
        outline: polygons in (column, row) of pixel corners of the scene, which may have holes.
        label: its class.
        area_m2: on the ground, None where the scene's reference system does not say.
        area_px: pixels.
        score: estimate of the IoU.
        clicks: [x, y, positive] of all that was clicked for it, pixel centres whole, in time order.
        author: who accepted it last. version: the store's when it was changed last.
        created, changed: ISO 8601, UTC.
    """

    id: int
    outline: Any
    label: str
    area_m2: float | None
    area_px: int
    score: float
    clicks: tuple[tuple[float, float, bool], ...]
    author: str
    version: int
    created: str
    changed: str

    @cached_property
    def polygon(self) -> dict[str, Any] | None:
        """The outline as JSON."""
        return as_json(self.outline)

    @cached_property
    def _box(self) -> tuple[int, int, int, int]:
        return box_of(self.outline)

    def reaches(self, x: float, y: float) -> bool:
        """May the outline cover this position? A look at its box."""
        top, left, bottom, right = self._box
        return left - 0.5 <= x <= right - 0.5 and top - 0.5 <= y <= bottom - 0.5

    @property
    def area_fits(self) -> bool:
        """Is the area in pixels that of the outline? Not where another program has changed the one alone."""
        return abs(self.outline.area - self.area_px) <= 0.5

    def told(self) -> dict[str, Any]:
        """As the API answers."""
        return {
            "id": self.id,
            "label": self.label,
            "polygon": self.polygon,
            "area_m2": self.area_m2,
            "area_px": self.area_px,
            "clicks": len(self.clicks),
            "score": self.score,
            "version": self.version,
            "author": self.author,
        }


def row_of(one: Accepted) -> dict[str, Any]:
    """The attributes as SQLite takes them."""
    names = ("id", "label", "area_m2", "area_px", "score", "author", "version", "created", "changed")
    return {name: getattr(one, name) for name in names} | {"clicks": json.dumps(one.clicks)}


def accepted_of(key: int, outline: Any, row: dict[str, Any]) -> Accepted:
    """A row; what other programs left out is filled in."""
    try:
        clicks = tuple((float(x), float(y), bool(positive)) for x, y, positive in json.loads(row["clicks"] or "[]"))
    except (ValueError, TypeError):
        clicks = ()
    return Accepted(
        int(key),
        outline,
        str(row["label"] or ""),
        _number(row["area_m2"], None),
        int(_number(row["area_px"], round(outline.area))),
        _number(row["score"], 0.0),
        clicks,
        str(row["author"] or ""),
        int(_number(row["version"], 0)),
        str(row["created"] or ""),
        str(row["changed"] or ""),
    )


def _number(value: Any, otherwise: Any) -> Any:
    """SQLite keeps words in columns of numbers, and infinite numbers, which JSON does not know."""
    return value if isinstance(value, (int, float)) and math.isfinite(value) else otherwise
