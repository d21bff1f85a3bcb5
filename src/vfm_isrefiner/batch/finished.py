"""`Finished`, an object that is done, and `FinishedLog`, the file that keeps each before the next is begun."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, final

import numpy as np
import torch
from numpy.typing import NDArray

from vfm_isrefiner.data.coco_masks import drawn
from vfm_isrefiner.data.run_lengths import encoded


@dataclass(frozen=True)
class Finished:
    """The mask of one object in its scene.

    Attributes:
        name: the object's.
        corner: (row, column) of the first pixel of the box around the mask.
        size: (height, width) of this box; (0, 0) where the mask is empty.
        counts: COCO run lengths of the mask in the box.
        score: estimate of its IoU. clicks: how many were played.
        cut: does it touch the border of the largest window that was allowed?
    """

    name: str
    corner: tuple[int, int]
    size: tuple[int, int]
    counts: str
    score: float
    clicks: int
    cut: bool = False

    @classmethod
    def of(
        cls, name: str, mask: NDArray[np.bool_], corner: tuple[int, int], score: float, clicks: int, cut: bool = False
    ) -> Finished:
        """That of a mask (H, W) whose first pixel is at `corner` of the scene."""
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(rows):
            return cls(name, corner, (0, 0), "", 0.0, clicks, cut)
        box = np.ascontiguousarray(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
        size = (box.shape[0], box.shape[1])
        counts = encoded(torch.from_numpy(box), size).decode()
        return cls(name, (corner[0] + int(rows[0]), corner[1] + int(columns[0])), size, counts, score, clicks, cut)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(height, width) of the box."""
        if not self.counts:
            return np.zeros(self.size, bool)
        one = {"id": self.name, "segmentation": {"size": list(self.size), "counts": self.counts}}
        return drawn([one], self.size, Path("log"))[0].numpy()


@final
class FinishedLog:
    """A file of JSON lines beside the output: what is predicted, then every finished object, on the disk before the next.

    One process at a time has it open.

    Attributes:
        file: where it is. done: by name, those of an earlier start included.
    """

    def __init__(self, file: Path, done: dict[str, Finished], sink: BinaryIO) -> None:
        self.file, self.done, self._sink = file, done, sink

    @staticmethod
    def open(file: Path, about: Mapping[str, Any]) -> FinishedLog:
        """Go on with `file`, or begin it. A last line that was cut off by a kill is dropped.

        Args:
            about: what decides the result, as JSON knows it.

        Raises:
            ValueError: it was begun with something else, a line is damaged, or another process works on it.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        sink = file.open("a+b")
        try:
            try:
                fcntl.flock(sink, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ValueError(f"Another process works on {file}. Wait for it, or choose another --out.") from error
            sink.seek(0)
            content = sink.read()
            whole = content[: content.rfind(b"\n") + 1]
            sink.truncate(len(whole))
            log = FinishedLog(file, _read(file, whole.splitlines(), about), sink)
            if not whole:
                log._append({"about": dict(about)})
        except BaseException:
            sink.close()
            raise
        return log

    def add(self, one: Finished) -> None:
        """On the disk when it returns."""
        self._append(asdict(one))
        self.done[one.name] = one

    def _append(self, row: Mapping[str, Any]) -> None:
        self._sink.write(json.dumps(row).encode() + b"\n")
        self._sink.flush()
        os.fsync(self._sink.fileno())

    def remove(self) -> None:
        """Once the output is written."""
        self.file.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._sink.close()


def _read(file: Path, lines: list[bytes], about: Mapping[str, Any]) -> dict[str, Finished]:
    if not lines:
        return {}
    try:
        begun = json.loads(lines[0])["about"]
        rows = [json.loads(line) for line in lines[1:]]
        done = [Finished(**{**row, "corner": tuple(row["corner"]), "size": tuple(row["size"])}) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is damaged ({error}). Delete it to begin again.") from error
    now = json.loads(json.dumps(dict(about)))
    if begun != now:
        names = [name for name in {**begun, **now} if begun.get(name) != now.get(name)]
        told = "; ".join(f"{name} was {begun.get(name)}, now {now.get(name)}" for name in names)
        raise ValueError(
            f"{file} holds {len(done)} finished objects of another run ({told}). Run it as before to go on, delete the file to "
            "begin again, or choose another --out."
        )
    return {one.name: one for one in done}
