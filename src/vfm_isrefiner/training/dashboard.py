"""`Dashboard`: a logger that also shows pictures and finished runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger


@dataclass(frozen=True)
class Picture:
    """One instance with its clicks, for a dashboard that lays masks over it.

    Attributes:
        name, source, category: of the instance; the name is its id.
        image: (H, W, 3) uint8 RGB, the clicks drawn on it.
        truth: (H, W) uint8: 0 background, 1 object, 2 to ignore.
        predictions: (H, W) bool after some numbers of clicks, by that number.
        ious: in the order of `predictions`.
    """

    name: str
    source: str
    category: str
    image: np.ndarray
    truth: np.ndarray
    predictions: Mapping[int, np.ndarray]
    ious: tuple[float, ...]


class Dashboard(Logger, ABC):
    """Begun by its first entry, and ended by whoever made it: a training is followed by an evaluation that belongs to it."""

    @abstractmethod
    def describe(self, *, name: str | None, experiment: str | None, job_type: str, settings: Mapping[str, Any]) -> None:
        """Before the first entry: what the run is called, and by what it is grouped and found.

        Args:
            name: of the run. experiment: that it belongs to, or None. job_type: "train" or "evaluate".
            settings: what decides the result, by dotted name, as in `run.json`.
        """

    @abstractmethod
    def log_pictures(self, name: str, files: Sequence[Path], step: int) -> None:
        """Show picture files under `name` as of training step `step`."""

    @abstractmethod
    def log_run(self, folder: Path, pictures: Sequence[Picture]) -> None:
        """Show what a finished run left in `folder`: its `run.json` and the evaluations that this names; keep these files."""

    @abstractmethod
    def finish(self) -> None:
        """End the run; what comes after is another one."""
