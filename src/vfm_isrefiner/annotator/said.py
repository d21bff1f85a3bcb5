"""`Said`: all that a person has said of the object that they click on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vfm_isrefiner.annotator.accepted import Accepted
from vfm_isrefiner.annotator.windowing import box_of_clicks, union
from vfm_isrefiner.batch.windows import Box, Window
from vfm_isrefiner.geo.outline import box_of

Clicked = tuple[float, float, bool]


@dataclass(frozen=True)
class Said:
    """What makes a running object; all of it fits into a row of the store.

    Attributes:
        clicks: x, y, positive of those made, in pixels of the scene.
        undone: those taken back, the one to redo next last.
        window: what they are played on; None before the first.
        editing: the accepted object that is worked on; its outline is what the clicks begin with.
    """

    clicks: tuple[Clicked, ...] = ()
    undone: tuple[Clicked, ...] = ()
    window: Window | None = None
    editing: Accepted | None = None

    @property
    def box(self) -> Box | None:
        """Around the clicks and what is edited."""
        boxes = [box_of_clicks(self.clicks)] if self.clicks else []
        if self.editing is not None:
            boxes.append(box_of(self.editing.outline))
        return None if not boxes else union(boxes[0], boxes[-1])

    def row(self) -> dict[str, Any] | None:
        """As JSON knows it; None where nothing is to be kept."""
        if not (self.clicks or self.undone or self.editing):
            return None
        window = self.window and [self.window.top, self.window.left, self.window.bottom, self.window.right]
        editing = self.editing and [self.editing.id, self.editing.version]
        return {"clicks": self.clicks, "undone": self.undone, "window": window, "editing": editing}

    @classmethod
    def of_row(cls, row: Mapping[str, Any], accepted: Callable[[int], Accepted]) -> Said:
        """From `row`; `accepted` gives the object of an id.

        Raises:
            LookupError: the object that was edited has been changed since. ValueError, TypeError: the row is damaged.
        """
        editing = None
        if row["editing"]:
            number, version = row["editing"]
            editing = accepted(number)
            if editing.version != version:
                raise LookupError(number)
        clicks, undone = (tuple((float(x), float(y), bool(on)) for x, y, on in row[name]) for name in ("clicks", "undone"))
        return cls(clicks, undone, Window(*row["window"]) if row["window"] else None, editing)
