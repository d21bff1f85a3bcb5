"""`Partial`: results of an evaluation written down as they come, so that a stopped one goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, final

from vfm_isrefiner.evaluation.evaluation import Evaluation
from vfm_isrefiner.evaluation.protocols import EvaluationProtocol
from vfm_isrefiner.evaluation.result import InstanceResult, from_row, to_row

PARTIAL_FILE = "partial.jsonl"


@final
class Partial:
    """A file of one JSON line each: what is evaluated, then every finished result, safe on the disk before the next.

    Attributes:
        file: where it is. done: results by index, those of an earlier start included.
    """

    def __init__(self, file: Path, done: dict[int, InstanceResult], sink: BinaryIO) -> None:
        self.file, self.done, self._sink = file, done, sink

    @staticmethod
    def open(
        folder: str | Path, protocol: EvaluationProtocol, model: str, data: str, target_iou: float | None = None
    ) -> Partial:
        """Go on with the results in `folder`, or begin.

        A last line that was cut off by a kill is dropped. Results of another evaluation are never thrown away, since they may
        have cost hours: they are an error.

        Args:
            folder: made where it does not exist. protocol, model, data, target_iou: as for `evaluate`.

        Raises:
            ValueError: it holds results of another evaluation, or a line in its middle is damaged.
        """
        file = Path(folder) / PARTIAL_FILE
        file.parent.mkdir(parents=True, exist_ok=True)
        about = {"protocol": protocol.settings(), "model": model, "data": data, "target_iou": target_iou}
        content = file.read_bytes() if file.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.splitlines()
        done = _results(file, lines[1:]) if lines and _same(file, lines, about) else {}
        sink = file.open("r+b" if file.exists() else "w+b")
        sink.truncate(len(whole))
        sink.seek(len(whole))
        partial = Partial(file, done, sink)
        if not lines:
            partial._append(about)
        return partial

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._sink.close()

    def remaining(self, count: int) -> list[int]:
        """Which of `count` instances are not finished: `indices` of `evaluate`."""
        return [index for index in range(count) if index not in self.done]

    def write(self, result: InstanceResult) -> None:
        """Add a finished result: `on_result` of `evaluate`.

        Raises:
            OSError: the disk refused it; what was written before stays.
        """
        self._append(to_row(result))
        self.done[result.index] = result

    def joined(self, rest: Evaluation) -> Evaluation:
        """`rest` with all results of the file, in the order of the data set."""
        return replace(rest, results=tuple(self.done[index] for index in sorted(self.done)))

    def remove(self) -> None:
        """Delete the file, once its results are saved elsewhere."""
        self._sink.close()
        self.file.unlink(missing_ok=True)

    def _append(self, content: Mapping[str, Any]) -> None:
        self._sink.write(json.dumps(content).encode() + b"\n")
        self._sink.flush()
        os.fsync(self._sink.fileno())


def _same(file: Path, lines: list[bytes], about: dict[str, Any]) -> bool:
    """True; raises where the first line is not `about`."""
    found, wanted = _parsed(file, 1, lines[0]), json.loads(json.dumps(about))
    if found != wanted:
        found = found if isinstance(found, dict) else {}
        differ = [name for name in wanted if found.get(name) != wanted[name]]
        was = "; ".join(f"{name}: {found.get(name)} there, {wanted[name]} now" for name in differ)
        raise ValueError(
            f"{file} holds {len(lines) - 1} results of another evaluation ({was}). "
            "Delete it to begin anew, or evaluate into another folder."
        )
    return True


def _results(file: Path, lines: list[bytes]) -> dict[int, InstanceResult]:
    results = {}
    for number, line in enumerate(lines, 2):
        try:
            result = from_row(_parsed(file, number, line))
        except (KeyError, TypeError) as error:
            raise ValueError(f"{file}: line {number} is no result ({error!r}). Delete the file to begin anew.") from error
        results[result.index] = result
    return results


def _parsed(file: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{file}: line {number} is no JSON ({error}). Delete the file to begin anew.") from error
    return content
