"""`play`: the prompts of many objects through sessions of one predictor, window by window."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vfm_isrefiner.batch.ahead import in_order
from vfm_isrefiner.batch.finished import Finished
from vfm_isrefiner.batch.windows import Box, Window, WindowRule, window_around
from vfm_isrefiner.distance import squared_distance
from vfm_isrefiner.predictor import Click, Predictor, Session
from vfm_isrefiner.predictor.picture import RasterLike


class Prompts(Protocol):
    """What a file says of one object, as `geo.prompt_layer.PromptObject`: in pixels of the scene, pixel centres whole."""

    @property
    def name(self) -> str: ...

    @property
    def points(self) -> NDArray[np.float64]:
        """(N, 2) x, y."""
        ...

    @property
    def positive(self) -> NDArray[np.bool_]:
        """(N,)."""
        ...

    def box(self, size: tuple[int, int]) -> Box:
        """Top, left, bottom, right of all prompts, the last two exclusive."""
        ...

    def mask(self, rows: slice, columns: slice) -> NDArray[np.bool_]:
        """What it starts from, within a window; nothing where it starts from no area."""
        ...


class Scene(Protocol):
    """A raster that is read by windows, as `geo.windows.RasterWindows`."""

    size: tuple[int, int]

    def read(self, rows: slice, columns: slice) -> RasterLike: ...


def play(
    predictor: Predictor, scene: Scene, objects: Sequence[Prompts], rule: WindowRule | None = None, workers: int = 1
) -> Generator[Finished, None, None]:
    """Each object on a window round its prompts; few windows in memory at a time, however large the scene.

    The next window is read, by one thread, while objects of the last are played. Objects that share a window find its features
    in the predictor's cache. Where the piece of the mask that a positive
    point lies on touches a border of the window that is not the scene's, the object is played again, from its first prompt, on
    a window of twice the side, up to the largest.

    Args:
        workers: objects that are played at a time, each by a thread; the predictor should gather as many.

    Yields:
        The objects as they are finished: by the side of their windows, then from the top of the scene to its bottom. With
        several workers too; those that are done before their turn, twice as many as workers at most, wait for it.

    Raises:
        ValueError: the prompts of an object lie too far apart for the largest window; said before any is played.
    """
    rule = rule or WindowRule()
    boxes = {one.name: one.box(scene.size) for one in objects}
    waiting: list[list[Prompts]] = [[] for _ in rule.sides]
    for one in objects:
        waiting[rule.first(boxes[one.name], one.name)].append(one)
    for number, side in enumerate(rule.sides):
        groups: dict[Window, list[Prompts]] = {}
        for one in waiting[number]:
            groups.setdefault(window_around(boxes[one.name], scene.size, side), []).append(one)
        with closing(_played(predictor, scene, groups, workers)) as played:
            for one, finished in played:
                if finished.cut and side != rule.sides[-1]:
                    waiting[number + 1].append(one)
                else:
                    yield finished


def _played(
    predictor: Predictor, scene: Scene, groups: Mapping[Window, Sequence[Prompts]], workers: int
) -> Generator[tuple[Prompts, Finished], None, None]:
    """The objects of `groups`, window by window."""

    def step(task: tuple[Window, RasterLike, Prompts]) -> tuple[Prompts, Finished]:
        window, picture, one = task
        return one, _play_one(predictor.session(picture), one, window, scene.size)

    windows = sorted(groups)
    # one thread: a raster is not for several at once
    with closing(in_order(lambda window: scene.read(window.rows, window.columns), windows, threads=1, most=2)) as pictures:
        tasks = ((window, picture, one) for window, picture in zip(windows, pictures, strict=True) for one in groups[window])
        if workers == 1:
            yield from map(step, tasks)
            return
        with closing(in_order(step, tasks, threads=workers, most=2 * workers)) as played:
            yield from played


def _play_one(session: Session, one: Prompts, window: Window, size: tuple[int, int]) -> Finished:
    clicks = [
        Click(within(x - window.left, session.size[1]), within(y - window.top, session.size[0]), bool(positive))
        for (x, y), positive in zip(one.points, one.positive, strict=True)
    ]
    area = one.mask(window.rows, window.columns)
    if area.any():
        session.start_from(area)
        if not one.positive.any():
            clicks.insert(0, innermost(area))
    found = session.play(clicks)
    cut = is_cut(found.mask, clicks, window, size)
    return Finished.of(one.name, found.mask, (window.top, window.left), found.score, len(clicks), cut)


def innermost(area: NDArray[np.bool_]) -> Click:
    """A positive click on the pixel of `area` that lies farthest from all that is outside of it; the first of several."""
    row, column = np.unravel_index(int(squared_distance(torch.from_numpy(area)[None])[0].argmax()), area.shape)
    return Click(float(column), float(row))


def within(at: float, length: int) -> float:
    """A position on the image's very edge, as a number that is inside of it in float32 too."""
    return min(at, float(np.nextafter(np.float32(length - 0.5), np.float32(0))))


def is_cut(mask: NDArray[np.bool_], clicks: Sequence[Click], window: Window, size: tuple[int, int]) -> bool:
    """Does the piece of a positive click touch a border of the window at which the scene goes on?"""
    edges = [
        line
        for line, goes_on in (
            (np.s_[0, :], window.top > 0),
            (np.s_[-1, :], window.bottom < size[0]),
            (np.s_[:, 0], window.left > 0),
            (np.s_[:, -1], window.right < size[1]),
        )
        if goes_on and mask[line].any()
    ]
    if not edges:
        return False
    pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1]
    at = [(round(click.y), round(click.x)) for click in clicks if click.positive]
    height, width = mask.shape
    own = {int(pieces[max(0, min(y, height - 1)), max(0, min(x, width - 1))]) for y, x in at} - {0}
    return any(bool(np.isin(pieces[line], list(own)).any()) for line in edges)
