"""`Running`: one person on one scene: click, undo, redo, reset, edit, accept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, final

import numpy as np

from vfm_isrefiner.annotator.accepted import Accepted
from vfm_isrefiner.annotator.following import Following, Played
from vfm_isrefiner.annotator.refusal import Refusal
from vfm_isrefiner.annotator.said import Said
from vfm_isrefiner.annotator.scene import AnnotatedScene
from vfm_isrefiner.annotator.store import Work
from vfm_isrefiner.annotator.windowing import window_for
from vfm_isrefiner.batch.windows import Window, WindowRule
from vfm_isrefiner.geo.area import area_m2
from vfm_isrefiner.geo.outline import as_json, box_of, on_ground
from vfm_isrefiner.geo.polygonise import polygonise
from vfm_isrefiner.predictor import Predictor

MOST_CLICKS = 200  # on one object


@final
class Running:
    """The running object of a session, for one call at a time.

    A call that is refused changes nothing; what another has changed is on the disk when it returns.

    Args:
        key: the session's name.
        scene: what is clicked on.
        predictor: plays the clicks.
        author: who clicks.
        rule: sides that windows may have.
        said: what an earlier start has left.
    """

    def __init__(
        self,
        key: str,
        scene: AnnotatedScene,
        predictor: Predictor,
        author: str = "",
        rule: WindowRule | None = None,
        said: Said | None = None,
        note: str = "",
    ) -> None:
        self.key, self.scene, self.author = key, scene, author
        self._rule = rule or WindowRule()
        self._following = Following(scene, predictor, self._rule)
        self._said, self._note = said or Said(), note
        self._played: Played | None = None

    def click(self, x: float, y: float, positive: bool) -> None:
        """Say that (x, y) is on the object or off it. A first positive click on an accepted object opens that one.

        Raises:
            Refusal: 422, it lies outside of the scene, on no data or too far from the object, or is one too many.
        """
        self._check(x, y)
        said = self._said
        there = self.scene.store.at(x, y) if positive and not said.clicks and said.editing is None else None
        if there is not None:
            note = (
                f"This is object {there.id}, which is open for editing now: accept it again, or discard to leave it as it was."
            )
            self.edit(there.id, there.version, note)
        elif len(said.clicks) >= MOST_CLICKS:
            raise Refusal(422, f"This object has {MOST_CLICKS} clicks, the most there may be. Accept it, or undo some.")
        else:
            self._take(replace(said, clicks=(*said.clicks, (x, y, positive)), undone=()))

    def undo(self) -> None:
        """Without the last click. Raises `Refusal` 422 where there is none."""
        said = self._said
        if not said.clicks:
            raise Refusal(422, "There is no click to undo.")
        self._take(replace(said, clicks=said.clicks[:-1], undone=(*said.undone, said.clicks[-1])))

    def redo(self) -> None:
        """With the click that was undone last. Raises `Refusal` 422 where there is none."""
        said = self._said
        if not said.undone:
            raise Refusal(422, "There is no click to redo.")
        self._take(replace(said, clicks=(*said.clicks, said.undone[-1]), undone=said.undone[:-1]))

    def reset(self) -> None:
        """Discard the running object; one that was edited stays as it was accepted."""
        self._keep(Said(), None, "")

    def edit(self, number: int, version: int, note: str = "") -> None:
        """Go on with an accepted object; what was running is discarded.

        Raises:
            Refusal: 404, 409 as `Store.replace`; 422, it is larger than the largest window.
        """
        one = self.scene.store.current(number, version)
        window = window_for(box_of(one.outline), self.scene.size, self._rule)
        if window is None:
            raise Refusal(
                422, f"Object {number} is larger than the largest window, {self._rule.most} pixels. Edit it in a GIS."
            )
        self._take(Said(window=window, editing=one), note)

    def accept(self, label: str) -> Accepted:
        """Put the running object on the disk; the next click begins another one.

        Raises:
            Refusal: 422, there is nothing to accept; 404, 409 as `Store.replace`.
        """
        played = self._now()
        if played is None or not played.found.mask.any():
            raise Refusal(422, "There is nothing to accept: click on an object first, so that it has a mask.")
        editing, store = played.said.editing, self.scene.store
        clicks = (*(editing.clicks if editing else ()), *played.said.clicks)
        pixels = int(np.count_nonzero(played.found.mask))
        work = Work(_outline(played), label, pixels, round(self._score(played), 6), clicks, self.author)
        one = store.replace(editing.id, editing.version, work, self.key) if editing else store.add(work, self.key)
        self._said, self._played, self._note = Said(), None, ""
        return one

    def state(self) -> dict[str, Any]:
        """As the API answers. Plays the clicks where an earlier start or `cool` has left them unplayed."""
        played = self._now()
        said = self._said
        found: dict[str, Any] = {"polygon": None, "score": None, "window": None, "area_px": 0, "area_m2": None}
        if played is not None:
            outline, window = _outline(played), played.said.window
            area = area_m2(on_ground(outline, self.scene.grid.transform), self.scene.grid.crs)
            found = {
                "polygon": as_json(outline),
                "score": self._score(played),
                "window": window and [window.left, window.top, window.right, window.bottom],
                "area_px": int(np.count_nonzero(played.found.mask)),
                "area_m2": area if np.isfinite(area) else None,
            }
        return {
            "session": self.key,
            "scene": self.scene.id,
            "clicks": [{"x": x, "y": y, "positive": positive} for x, y, positive in said.clicks],
            "can_undo": bool(said.clicks),
            "can_redo": bool(said.undone),
            "editing": said.editing and said.editing.id,
            "note": self._note or None,
        } | found

    def probability(self) -> np.ndarray | None:
        """(H, W) float32 of the window; None before the first click."""
        played = self._now()
        return None if played is None else played.found.prob

    @property
    def pixels(self) -> int:
        """Of the window that is held in memory."""
        return self._following.pixels

    @property
    def held(self) -> int:
        """As `Following.held`."""
        return self._following.held

    def cool(self) -> None:
        """Give the memory of the window free; the next call plays the clicks again."""
        self._following.cool()
        self._played = None

    def _check(self, x: float, y: float) -> None:
        height, width = self.scene.size
        if not (-0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5):
            raise Refusal(
                422, f"The click at ({x:g}, {y:g}) is outside of the scene of {width} x {height} pixels. Click on it."
            )
        row, column = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
        if self.scene.read(Window(row, column, row + 1, column + 1)).nodata.any():
            raise Refusal(422, f"There is no image data at ({column}, {row}): nothing can be found there. Click on the image.")

    def _take(self, said: Said, note: str = "") -> None:
        """Play `said`, keep it on the disk, and only then make it what is."""
        if said.box is None:
            self._keep(said, None, note)
            return
        played = self._following.play(said, self._played)
        self._keep(played.said, played, note or played.note)

    def _keep(self, said: Said, played: Played | None, note: str) -> None:
        row = said.row()
        self.scene.store.keep_running(self.key, row and {**row, "author": self.author})
        self._said, self._played, self._note = said, played, note

    def _now(self) -> Played | None:
        if self._played is None and self._said.box is not None:
            self._played = self._following.play(self._said)
            self._said = self._played.said
        return self._played

    def _score(self, played: Played) -> float:
        editing = played.said.editing
        return editing.score if editing is not None and not played.said.clicks else played.found.score


def _outline(played: Played) -> Any:
    window = played.said.window
    assert window is not None  # it was played
    return polygonise(played.found.mask, corner=(window.top, window.left))
