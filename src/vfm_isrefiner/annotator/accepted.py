"""`Accepted`: an object that a person has finished, as it is on the disk."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from vfm_isrefiner.geo.outline import as_json


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
