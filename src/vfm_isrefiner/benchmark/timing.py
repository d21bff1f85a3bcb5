"""`interleaved`: several pieces of work timed in turn, so that what a busy machine does to one it does to all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, final
from unittest.mock import patch

import torch

Work = Callable[[], Any]


@dataclass(frozen=True)
class Timing:
    """Seconds of each repeat, in the order in which they were measured."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """First and third, in seconds; of one repeat both are that one."""
        if len(self.seconds) == 1:
            return self.seconds[0], self.seconds[0]
        first, _, third = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return first, third


def interleaved(
    works: Mapping[str, Work], *, repeats: int = 7, warm_up: int = 2, device: torch.device | str = "cpu"
) -> dict[str, Timing]:
    """Time each of `works` `repeats` times, one after another in every turn, after `warm_up` turns that do not count.

    Raises:
        ValueError: there is no repeat.
    """
    if repeats < 1 or warm_up < 0:
        raise ValueError(f"repeats must be 1 or more and warm_up 0 or more, got {repeats} and {warm_up}.")
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(warm_up + repeats):
        for name, work in works.items():
            seconds = once(work, device)
            if turn >= warm_up:
                taken[name].append(seconds)
    return {name: Timing(tuple(seconds)) for name, seconds in taken.items()}


def once(work: Work, device: torch.device | str = "cpu") -> float:
    """Seconds of one call, all that it queued on a GPU included."""
    _wait_for(device)
    begun = time.perf_counter()
    work()
    _wait_for(device)
    return time.perf_counter() - begun


@final
class Clocks:
    """Seconds spent in each part of some work; on a GPU each part is waited for, which the work by itself does not do.

    Args:
        parts: names that are there from the start, with no second.
    """

    def __init__(self, device: torch.device | str, parts: Iterable[str] = ()) -> None:
        self.device, self.seconds = device, dict.fromkeys(parts, 0.0)

    def around(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """`work`, its time added to that of `part`."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            found: list[Any] = []
            seconds = once(lambda: found.append(work(*args, **kwargs)), self.device)
            self.seconds[part] = self.seconds.get(part, 0.0) + seconds
            return found[0]

        return timed

    @contextmanager
    def in_place(self, places: Iterable[tuple[str, Any, str]]) -> Iterator[None]:
        """Inside, calls of these (part, owner, name of a method or function of the owner) have a clock around them."""
        with ExitStack() as stack:
            for part, owner, name in places:
                stack.enter_context(patch.object(owner, name, self.around(part, getattr(owner, name))))
            yield


def ratio(over: Timing, under: Timing) -> Timing:
    """Turn by turn, so that both parts of a quotient come from the same moment."""
    return Timing(tuple(a / b for a, b in zip(over.seconds, under.seconds, strict=True)))


def total(*parts: Timing) -> Timing:
    """Sums, turn by turn."""
    return Timing(tuple(sum(seconds) for seconds in zip(*(part.seconds for part in parts), strict=True)))


def _wait_for(device: torch.device | str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
