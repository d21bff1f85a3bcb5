"""What an evaluation found out: one `InstanceResult` per instance, and the `Evaluation` that holds, saves and merges them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vfm_isrefiner.evaluation.protocols import EvaluationProtocol
from vfm_isrefiner.evaluation.summary import summarise
from vfm_isrefiner.models.network_file import CheckpointError, write_whole

OK, FULL_IMAGE, EMPTY, ALL_IGNORED = "ok", "full_image", "empty", "all_ignored"
EVALUATED = (OK, FULL_IMAGE)
BOUNDARY_CLICKS = (1, 5, 10, 20)
INSTANCES_FILE, SUMMARY_FILE = "instances.parquet", "summary.json"


@dataclass(frozen=True)
class InstanceResult:
    """One instance.

    Attributes:
        index: its place in the data set. id, source, category: as its `Instance` has them. image: name of its image.
        area: object pixels, those to ignore left out. bbox: first row, first column, height, width of these pixels.
        status: "ok"; "full_image": every counted pixel is object (evaluated like the others); "empty": no object pixel, or
            "all_ignored": no pixel counts (both cannot be clicked and have no IoU).
        ious: after each click. boundary_ious: after the clicks of `BOUNDARY_CLICKS` that were made.
        clicks: (row, column, positive) of each.
        seconds_network: its share of the time inside the segmenter; seconds_rest: of everything else.
    """

    index: int
    id: str
    source: str
    category: str
    image: str
    area: int
    bbox: tuple[int, int, int, int]
    status: str
    ious: tuple[float, ...] = ()
    boundary_ious: tuple[float, ...] = ()
    clicks: tuple[tuple[float, float, bool], ...] = ()
    seconds_network: float = 0.0
    seconds_rest: float = 0.0

    @property
    def evaluated(self) -> bool:
        return self.status in EVALUATED


SCHEMA = pa.schema(
    [
        ("index", pa.int64()),
        *((name, pa.string()) for name in ("id", "source", "category", "image", "status")),
        ("area", pa.int64()),
        ("bbox", pa.list_(pa.int64())),  # first row, first column, height, width
        ("ious", pa.list_(pa.float64())),
        ("boundary_ious", pa.list_(pa.float64())),
        ("click_row", pa.list_(pa.float64())),
        ("click_column", pa.list_(pa.float64())),
        ("click_positive", pa.list_(pa.bool_())),
        ("seconds_network", pa.float64()),
        ("seconds_rest", pa.float64()),
    ]
)


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
        scores = summarise(self.results, self.protocol.max_clicks, self.target_iou)
        sources = sorted({result.source for result in self.results})
        by_source = {
            source: summarise(
                [result for result in self.results if result.source == source], self.protocol.max_clicks, self.target_iou
            )
            for source in sources
        }
        return {
            "protocol": self.protocol.settings(),
            "model": self.model,
            "data": self.data,
            "target_iou": self.target_iou,
            **scores,
            "sources": by_source,
        }

    def save(self, folder: str | Path) -> Path:
        """Write `instances.parquet` and then `summary.json` into `folder`, each complete or not at all.

        Raises:
            OSError: a file could not be written, such as on a full disk.
        """
        folder = Path(folder)
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist([_row(result) for result in self.results], SCHEMA), sink)
        text = json.dumps(self.summary(), indent=2, allow_nan=False)
        try:
            write_whole(folder / INSTANCES_FILE, sink.getvalue().to_pybytes())
            write_whole(folder / SUMMARY_FILE, text.encode())
        except CheckpointError as error:
            raise OSError(f"The evaluation was not saved: {error} Free some space or choose another folder.") from error
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
            tuple(_result(row) for row in rows), protocol, summary["model"], summary["data"], summary["target_iou"]
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
    ordered = sorted(unique.values(), key=lambda result: (_first_seen(result.source, parts), result.index))
    return replace(first, results=tuple(ordered), data="+".join(data))


def _first_seen(source: str, parts: Sequence[Evaluation]) -> int:
    sources = dict.fromkeys(result.source for part in parts for result in part.results)
    return list(sources).index(source)


def _row(result: InstanceResult) -> dict[str, Any]:
    plain = {name: getattr(result, name) for name in SCHEMA.names if not name.startswith("click_")}
    row, column, positive = zip(*result.clicks, strict=True) if result.clicks else ((), (), ())
    return {**plain, "click_row": row, "click_column": column, "click_positive": positive}


def _result(row: dict[str, Any]) -> InstanceResult:
    columns = (row.pop(f"click_{name}") for name in ("row", "column", "positive"))
    lists = {name: tuple(row[name]) for name in ("bbox", "ious", "boundary_ious")}
    return InstanceResult(**{**row, **lists}, clicks=tuple(zip(*columns, strict=True)))
