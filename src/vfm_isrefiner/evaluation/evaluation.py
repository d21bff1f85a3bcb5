"""`Evaluation`: the results of one network on some instances; summed up, saved, loaded, merged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vfm_isrefiner.evaluation.protocols import EvaluationProtocol
from vfm_isrefiner.evaluation.result import SCHEMA, InstanceResult, from_row, to_row
from vfm_isrefiner.evaluation.summary import summarise
from vfm_isrefiner.files import write_whole

INSTANCES_FILE, SUMMARY_FILE = "instances.parquet", "summary.json"


@dataclass(frozen=True)
class Evaluation:
    """All results of one network on some instances, and what they were measured with.

    Attributes:
        results: in the order of the data set.
        protocol: as evaluated. target_iou: where instances stopped before `protocol.max_clicks`, or None.
        model, data: fingerprints or names, as the caller gave them.
    """

    results: tuple[InstanceResult, ...]
    protocol: EvaluationProtocol
    model: str = ""
    data: str = ""
    target_iou: float | None = None

    def summary(self) -> dict[str, Any]:
        """Scores as plain values for JSON, over all and for each source; None where one is not defined."""
        by_source: dict[str, list[InstanceResult]] = {}
        for result in self.results:
            by_source.setdefault(result.source, []).append(result)
        clicks, target = self.protocol.max_clicks, self.target_iou
        return {
            "protocol": self.protocol.settings(),
            "model": self.model,
            "data": self.data,
            "target_iou": target,
            **summarise(self.results, clicks, target),
            "sources": {source: summarise(results, clicks, target) for source, results in by_source.items()},
        }

    def save(self, folder: str | Path) -> Path:
        """Write `instances.parquet` and then `summary.json` into `folder`, each complete or not at all.

        Raises:
            OSError: a file could not be written, such as on a full disk.
        """
        folder = Path(folder)
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist([to_row(result) for result in self.results], SCHEMA), sink)
        text = json.dumps(self.summary(), indent=2, allow_nan=False)
        write_whole(folder / INSTANCES_FILE, sink.getvalue().to_pybytes())
        write_whole(folder / SUMMARY_FILE, text.encode())
        return folder

    @staticmethod
    def load(folder: str | Path) -> Evaluation:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: `folder` holds no evaluation.
        """
        folder = Path(folder)
        for name in (INSTANCES_FILE, SUMMARY_FILE):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder} holds no evaluation: {name} is missing. `isrefiner evaluate` writes it.")
        summary = json.loads((folder / SUMMARY_FILE).read_text())
        rows = pq.read_table(folder / INSTANCES_FILE, schema=SCHEMA).to_pylist()
        protocol = EvaluationProtocol.from_settings(summary["protocol"])
        return Evaluation(
            tuple(from_row(row) for row in rows), protocol, summary["model"], summary["data"], summary["target_iou"]
        )


def merge(parts: Sequence[Evaluation]) -> Evaluation:
    """One evaluation of several, such as those of all ranks; of an instance (source, id) that comes twice the first counts.

    Raises:
        ValueError: there is none, or they were not measured alike.
    """
    if not parts:
        raise ValueError("merge got no evaluation; give it at least one.")
    first = parts[0]
    for part in parts[1:]:
        if replace(part, results=(), data="") != replace(first, results=(), data=""):
            raise ValueError(
                "merge needs evaluations of one network by one protocol, "
                f"got {first.protocol.name!r} of {first.model!r} and {part.protocol.name!r} of {part.model!r}."
            )
    unique: dict[tuple[str, str], InstanceResult] = {}
    for part in parts:
        for result in part.results:
            unique.setdefault((result.source, result.id), result)
    data = dict.fromkeys(part.data for part in parts)
    sources = list(dict.fromkeys(result.source for part in parts for result in part.results))
    ordered = sorted(unique.values(), key=lambda result: (sources.index(result.source), result.index))
    return replace(first, results=tuple(ordered), data="+".join(data))
