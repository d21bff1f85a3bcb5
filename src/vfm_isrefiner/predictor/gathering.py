"""`GatheredRound`: calls of several threads that come while the network is at work go through it together."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread, current_thread
from typing import Any, final

import torch
from torch import Tensor

from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.interaction import ImageFeatures
from vfm_isrefiner.rollout import RoundLike

LAST_BATCH = 30.0  # seconds that an ending process waits for what the network is doing
Encoded = tuple[ImageFeatures, ImageFeatures | None]


class NetworkBusy(RuntimeError):
    """More calls wait for the network than were allowed. Nothing was changed; the same call may succeed a moment later."""


@final
@dataclass(frozen=True)
class GatheredRound:
    """`round`, run by one worker thread for any number of callers, several of whose calls may share one forward.

    A call that comes alone is played at once: nothing waits for company. What comes meanwhile waits, and the next forward takes
    the call that has waited longest and, up to `most` rows, those that can go with it: the same of the two calls below, one
    size, one type. So no caller is passed over. Results are those of the calls alone, to rounding; gradients are off, and an
    autocast around a call changes nothing. An error of a forward reaches everyone whose call was in it, and the next goes on.

    Attributes:
        round: plays the calls, in the worker thread alone.
        most: rows (objects) of one forward; a single call with more goes by itself.
        waiting: calls that may wait, beside those that are being played.

    Raises:
        ValueError: `most` or `waiting` is below 1.
    """

    round: RoundLike
    most: int
    waiting: int = 64
    _desk: _Desk = field(init=False, repr=False, compare=False)
    _worker: Thread = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.most < 1 or self.waiting < 1:
            raise ValueError(f"GatheredRound needs most >= 1 and waiting >= 1, got most={self.most}, waiting={self.waiting}.")
        desk = _Desk(self.most, self.waiting)
        # The worker knows the desk and the round, not this object: it ends with the last one who could call.
        worker = Thread(target=_serve, args=(self.round, desk), name="gathered rounds", daemon=True)
        worker.start()
        object.__setattr__(self, "_desk", desk)
        object.__setattr__(self, "_worker", worker)
        weakref.finalize(self, _end, desk, worker)

    @property
    def flip(self) -> bool:
        """As `RoundLike.flip`."""
        return self.round.flip

    @property
    def queued(self) -> int:
        """How many calls wait now."""
        return self._desk.queued

    def encode(self, image: Tensor) -> Encoded:
        """As `RoundLike.encode`.

        Raises:
            NetworkBusy: too many calls wait. RuntimeError: `close` was called.
        """
        encoded: Encoded = self._desk.ask(_Call(_encode, (image,), len(image), ("encode", _looks(image))))
        return encoded

    def logits(self, features: ImageFeatures, flipped: ImageFeatures | None, clicks: Clicks, prev_prob: Tensor) -> Tensor:
        """As `RoundLike.logits`. Raises as `encode`."""
        tensors = [prev_prob, *vars(features).values(), *(() if flipped is None else vars(flipped).values())]
        alike = ("logits", *map(_looks, tensors))
        logits: Tensor = self._desk.ask(_Call(_logits, (features, flipped, clicks, prev_prob), len(prev_prob), alike))
        return logits

    def close(self) -> None:
        """Play what waits, and end the worker. Calls that come later are refused."""
        _end(self._desk, self._worker)


@dataclass(frozen=True, eq=False)
class _Call:
    """play: of this and calls like it. given: its arguments. alike: calls may go together where this is equal."""

    play: Callable[[RoundLike, Sequence[tuple[Any, ...]]], list[Any]]
    given: tuple[Any, ...]
    rows: int
    alike: tuple[Any, ...]
    answer: Future[Any] = field(default_factory=Future)


@final
class _Desk:
    """Where callers leave their calls and the worker takes them, the oldest first."""

    def __init__(self, most: int, waiting: int) -> None:
        self.most, self.waiting = most, waiting
        self._changed, self._calls, self._closed = Condition(), deque[_Call](), False

    @property
    def queued(self) -> int:
        return len(self._calls)

    def ask(self, call: _Call) -> Any:
        """Leave the call, and wait for its answer."""
        with self._changed:
            if self._closed:
                raise RuntimeError("This predictor was closed; make another one.")
            if len(self._calls) >= self.waiting:
                raise NetworkBusy(
                    f"{len(self._calls)} calls wait for the network already, and {self.waiting} may. Try again in a moment, "
                    "or allow more with Predictor(waiting=...)."
                )
            self._calls.append(call)
            self._changed.notify()
        try:
            return call.answer.result()
        finally:
            call.answer.cancel()  # of one who was interrupted while waiting

    def take(self) -> list[_Call]:
        """Those of the next forward, once there are any; nothing when all is done and `close` was called."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._calls or self._closed)
                if not self._calls:
                    return []
                taken = [call for call in self._chosen() if call.answer.set_running_or_notify_cancel()]
                if taken:
                    return taken

    def _chosen(self) -> list[_Call]:
        """The oldest call and its company, off the queue."""
        chosen: list[_Call] = []
        left: deque[_Call] = deque()
        rows = 0
        for call in self._calls:
            if not chosen or (call.alike == chosen[0].alike and rows + call.rows <= self.most):
                chosen.append(call)
                rows += call.rows
            else:
                left.append(call)
        self._calls = left
        return chosen

    def close(self) -> None:
        """Take no call any more."""
        with self._changed:
            self._closed = True
            self._changed.notify()


def _serve(round: RoundLike, desk: _Desk) -> None:
    """The worker's life."""
    with torch.inference_mode():
        while _served(round, desk):
            pass


def _served(round: RoundLike, desk: _Desk) -> bool:
    """Was there a forward? A function of its own: while the worker waits it must not keep the last batch in memory."""
    calls = desk.take()
    if not calls:
        return False
    try:
        answers = calls[0].play(round, [call.given for call in calls])
    except BaseException as error:  # each caller raises it, and the worker lives on
        for call in calls:
            call.answer.set_exception(error)
    else:
        for call, answer in zip(calls, answers, strict=True):
            call.answer.set_result(answer)
    return True


def _end(desk: _Desk, worker: Thread) -> None:
    desk.close()
    if worker is not current_thread():
        worker.join(LAST_BATCH)


def _encode(round: RoundLike, given: Sequence[tuple[Tensor]]) -> list[Encoded]:
    if len(given) == 1:
        return [round.encode(*given[0])]
    images = [image for (image,) in given]
    features, flipped = round.encode(torch.cat(images))
    # `rows` copies: a view would keep the whole batch alive for as long as one of its crops is cached
    parts = torch.arange(sum(map(len, images)), device=images[0].device).split([len(image) for image in images])
    return [(features.rows(part), None if flipped is None else flipped.rows(part)) for part in parts]


def _logits(round: RoundLike, given: Sequence[tuple[ImageFeatures, ImageFeatures | None, Clicks, Tensor]]) -> list[Tensor]:
    if len(given) == 1:
        return [round.logits(*given[0])]
    features, flipped, clicks, prob = zip(*given, strict=True)
    mirrored = [each for each in flipped if each is not None]
    logits = round.logits(
        ImageFeatures.stack(list(features)),
        ImageFeatures.stack(mirrored) if mirrored else None,
        Clicks.stack(list(clicks)),
        torch.cat(prob),
    )
    return [part.clone() for part in logits.split([len(each) for each in prob])]


def _looks(tensor: Tensor | None) -> tuple[Any, ...] | None:
    """All of a tensor's form but its rows."""
    return None if tensor is None else (tuple(tensor.shape[1:]), tensor.dtype, tensor.device)
