"""`Following`: plays what a person has said on a window of the scene that moves and grows with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from vfm_isrefiner.annotator.refusal import Refusal
from vfm_isrefiner.annotator.said import Said
from vfm_isrefiner.annotator.scene import AnnotatedScene
from vfm_isrefiner.annotator.windowing import box_of_clicks, holds, number_of, union, window_for
from vfm_isrefiner.batch.playing import is_cut, within
from vfm_isrefiner.batch.windows import Box, Window, WindowRule
from vfm_isrefiner.geo.rasterise import draw
from vfm_isrefiner.predictor import Click, Prediction, Predictor, Session

ROOM = 8  # the part of the smallest side that a click on the object keeps from a border at which the scene goes on
MOVED = "The window was moved: it holds all clicks of this object again."
GREW = "The window was made larger: the object reached its border."
CUT = "The object reaches over the largest window: accept this part, and click the rest as another object."


@dataclass(frozen=True, eq=False)
class Played:
    """What came of it.

    Attributes:
        said: with the window that it was played on.
        found: the mask in this window.
        note: what the person should know, or "".
    """

    said: Said
    found: Prediction
    note: str = ""


@final
class Following:
    """Keeps the predictor's session of the latest window, so that a click more costs one round.

    Args:
        scene: what is clicked on. predictor: plays. rule: sides that windows may have.
    """

    def __init__(self, scene: AnnotatedScene, predictor: Predictor, rule: WindowRule) -> None:
        self._scene, self._predictor, self._rule = scene, predictor, rule
        self._warm: tuple[Window, Session] | None = None
        self._begun: Said | None = None

    @property
    def pixels(self) -> int:
        """Of the window that is held in memory."""
        if self._warm is None:
            return 0
        window = self._warm[0]
        return (window.bottom - window.top) * (window.right - window.left)

    @property
    def held(self) -> int:
        """Pixels that take as much memory as the window and what undo needs; a pixel of a window takes five times as much."""
        return self.pixels + (0 if self._warm is None else self._warm[1].changed_pixels // 5)

    def cool(self) -> None:
        """Give the memory of the window free."""
        self._warm = None

    def play(self, said: Said, before: Played | None = None) -> Played:
        """Play on `said.window`, or on another one where it does not hold the clicks, or the object reaches its border.

        Args:
            said: with a click or an object to edit.
            before: what the person sees now; a window that is moved holds that too.

        Raises:
            Refusal: 422, no window is large enough.
        """
        window, note = said.window, ""
        box = said.box
        if box is None:
            raise ValueError("Following.play got neither clicks nor an object to edit; there is nothing to play.")
        if window is None:
            window = self._window(box)
        elif said.clicks and not _held(window, said, self._scene.size, self._rule.least // ROOM):
            seen = None if before is None else _box_of_mask(before)
            window, note = self._window(box if seen is None else union(box, seen)), MOVED
        found = self._on(window, said)
        while said.clicks and is_cut(found.mask, _local(said, window), window, self._scene.size):
            number = number_of(window, self._rule) + 1
            seen = _box_of_mask(Played(replace(said, window=window), found))
            larger = (
                None
                if number >= len(self._rule.sides) or seen is None
                else window_for(union(box, seen), self._scene.size, self._rule, number)
            )
            if larger is None:
                note = CUT
                break
            window, note = larger, GREW
            found = self._on(window, said)
        return Played(replace(said, window=window), found, note)

    def _window(self, box: Box) -> Window:
        window = window_for(box, self._scene.size, self._rule)
        if window is None:
            extent = max(box[2] - box[0], box[3] - box[1])
            raise Refusal(
                422,
                f"That lies too far from the rest of the object: together they take {extent} pixels, and a window has at most "
                f"{self._rule.most}. Accept the object first, or click closer to it.",
            )
        return window

    def _on(self, window: Window, said: Said) -> Prediction:
        """The prediction on this window; rounds that its session has played already are not played again."""
        clicks = _local(said, window)
        if self._warm is None or self._warm[0] != window:
            self._warm = (window, self._predictor.session(self._scene.read(window)))
            self._begun = Said()
        session = self._warm[1]
        begun = self._begun.editing if self._begun else None
        if begun is not said.editing:
            session.reset()
            if said.editing is not None:
                mask = _drawn(said, window)
                if mask.any():
                    session.start_from(mask)
            self._begun = said
        same = _common(session.clicks, clicks)
        if same < len(session.clicks):
            session.keep(same)
        elif session.can_redo and len(clicks) == same + 1:
            session.redo()
            if session.clicks == tuple(clicks):
                return session.prediction
            session.keep(same)
        return session.play(clicks[same:])


def _common(played: tuple[Click, ...], clicks: list[Click]) -> int:
    pairs = list(zip(played, clicks, strict=False))
    return next((number for number, (one, other) in enumerate(pairs) if one != other), len(pairs))


def _held(window: Window, said: Said, size: tuple[int, int], room: int) -> bool:
    """Does the window hold all clicks, and `room` round the newest, if it is on the object?"""
    newest = said.clicks[-1:]
    kept = room if newest[0][2] else 0
    return holds(window, box_of_clicks(said.clicks), size) and holds(window, box_of_clicks(newest), size, kept)


def _local(said: Said, window: Window) -> list[Click]:
    tall, wide = window.bottom - window.top, window.right - window.left
    return [Click(within(x - window.left, wide), within(y - window.top, tall), on) for x, y, on in said.clicks]


def _drawn(said: Said, window: Window) -> NDArray[np.bool_]:
    """The pixels in the window of the object that is edited."""
    mask = np.zeros((window.bottom - window.top, window.right - window.left), bool)
    drawn = None if said.editing is None else draw(said.editing.outline, (window.rows, window.columns))
    if drawn is not None:
        x, y, width, height = drawn.bbox
        mask[y - window.top : y - window.top + height, x - window.left : x - window.left + width] = drawn.mask
    return mask


def _box_of_mask(played: Played) -> Box | None:
    """In pixels of the scene."""
    mask, window = played.found.mask, played.said.window
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows) or window is None:
        return None
    top, left = window.top, window.left
    return top + int(rows[0]), left + int(columns[0]), top + int(rows[-1]) + 1, left + int(columns[-1]) + 1
