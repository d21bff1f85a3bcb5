"""`Session`: one person on one image: click, undo, redo, accept, the next object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import RLock
from typing import final

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from vfm_isrefiner.clicks import NEGATIVE, POSITIVE
from vfm_isrefiner.predictor.history import History
from vfm_isrefiner.predictor.picture import Picture
from vfm_isrefiner.predictor.prediction import Click, Prediction, Reading, check_inside, clicks_of
from vfm_isrefiner.rollout import Segmenter


@final
class Session:
    """Clicks on the objects of one image, one object after the other; made by `Predictor.session`.

    Several threads may call one session, and many sessions may share one network: each call is done before the next begins.
    Gradients are off, and an autocast around a call changes nothing: the network's precision is chosen where it is loaded.
    """

    def __init__(self, segmenter: Segmenter, picture: Picture, reading: Reading) -> None:
        self._segmenter, self._picture, self._reading = segmenter, picture, reading
        self._lock = RLock()
        with self._quiet():
            self._history = History.begin(segmenter.start(picture.image))
        self._start = self._history.base

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the image."""
        return self._picture.size

    @property
    def clicks(self) -> tuple[Click, ...]:
        """Those of the running object."""
        return clicks_of(self._history.now)

    @property
    def can_undo(self) -> bool:
        """Is there a click to undo?"""
        return bool(self._history.changes)

    @property
    def can_redo(self) -> bool:
        """Is there a click to redo?"""
        return bool(self._history.undone)

    @property
    def changed_pixels(self) -> int:
        """How many probabilities, of 4 bytes each, undo and redo keep."""
        history = self._history
        return sum(change.prob.numel() for change in (*history.changes, *history.undone))

    @property
    def prediction(self) -> Prediction:
        """The running object as it is; an empty mask before its first click."""
        return self._locked(lambda: self._history)

    def click(self, x: float, y: float, positive: bool = True) -> Prediction:
        """Say that the pixel at (x, y) is on the object (`positive`) or off it.

        Raises:
            ValueError: it lies outside of the image.
        """
        return self.play([Click(x, y, positive)])

    def play(self, clicks: Iterable[Click]) -> Prediction:
        """Several clicks, one round each, in this order; all or, where one is refused, none.

        Raises:
            ValueError: one lies outside of the image.
        """
        todo = list(clicks)
        for click in todo:
            check_inside(click, self.size)

        def played() -> History:
            history = self._history
            for click in todo:
                at = torch.tensor([[click.y, click.x]])
                label = torch.tensor([POSITIVE if click.positive else NEGATIVE], dtype=torch.int8)
                more = history.now.clicks.append(at, label.to(history.now.clicks.label))
                history = history.after(self._segmenter.refine(history.now, more))
            return history

        return self._locked(played)

    def undo(self) -> Prediction:
        """Without the last click.

        Raises:
            ValueError: there is none.
        """
        return self._locked(lambda: self._history.undo())

    def redo(self) -> Prediction:
        """With the click that was undone last, unless another was made since.

        Raises:
            ValueError: there is none.
        """
        return self._locked(lambda: self._history.redo())

    def keep(self, count: int) -> Prediction:
        """Undo all but the first `count` clicks."""
        return self._locked(lambda: self._history.first(max(0, count)))

    def reset(self) -> Prediction:
        """Forget the running object: its clicks and the mask that it started from."""
        return self._locked(lambda: History.begin(self._start))

    def accept(self) -> Prediction:
        """The running object, finished. The next click begins another one on the same image.

        Raises:
            ValueError: there was neither a click nor a mask to start from.
        """
        with self._lock:
            finished = self.prediction
            if not finished.clicks and not finished.prob.any():
                raise ValueError("There is nothing to accept: click on an object first.")
            self.reset()
            return finished

    def start_from(self, mask: ArrayLike) -> Prediction:
        """Begin an object that has a mask already, such as one to edit; what was running is forgotten.

        Args:
            mask: (H, W), bool or probabilities in [0, 1].

        Raises:
            ValueError: it is of another size, out of range or empty.
        """
        prob = torch.from_numpy(np.array(mask, np.float32))
        if tuple(prob.shape) != self.size:
            raise ValueError(f"A mask to start from is as large as the image, {self.size}, got {tuple(prob.shape)}.")
        if not ((prob >= 0) & (prob <= 1)).all():
            raise ValueError("A mask to start from is bool, or holds probabilities within 0 and 1; give mask > 0 or such.")
        if not prob.any():
            raise ValueError("The mask to start from is empty; begin with a click instead.")
        return self._start_from(prob[None, None])

    def _start_from(self, prob: Tensor) -> Prediction:
        prob = prob.to(self._start.prob)
        return self._locked(lambda: History.begin(replace(self._start, prob=prob)))

    def _locked(self, step: Callable[[], History]) -> Prediction:
        """Take the step, and see what came of it."""
        with self._lock, self._quiet():
            self._history = step()
            return self._reading(self._history.now, self._picture.nodata)

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        with torch.inference_mode(), torch.autocast(self._picture.image.device.type, enabled=False):
            yield
