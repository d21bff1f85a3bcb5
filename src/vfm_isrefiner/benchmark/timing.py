"""`interleaved`: several pieces of work timed in turn, so that what a busy machine does to one it does to all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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


def ratio(over: Timing, under: Timing) -> Timing:
    """Turn by turn, so that both parts of a quotient come from the same moment."""
    return Timing(tuple(a / b for a, b in zip(over.seconds, under.seconds, strict=True)))


def total(*parts: Timing) -> Timing:
    """Sums, turn by turn."""
    return Timing(tuple(sum(seconds) for seconds in zip(*(part.seconds for part in parts), strict=True)))


def _wait_for(device: torch.device | str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
