"""The paper's own numbers (Tables I-VIII), as rows beside ours and as tables of their own; always marked as quoted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vfm_isrefiner.report.filling import SetColumn
from vfm_isrefiner.report.report_table import Cell, Column, ReportTable, Row

FILE = Path(__file__).with_name("paper.json")
MARK = "(quoted)"
UNITS = {"Trainable": "M", "FLOPs": "G", "Time": "ms"}
COSTS = {"Trainable": ("", "Trainable"), "FLOPs": ("", "FLOPs"), "Time": ("Time", "in all")}  # where ours stand


@dataclass(frozen=True)
class QuotedTable:
    """One table as the paper prints it.

    Attributes:
        labels: headings of the labels. columns: set ("" in a table of costs) and measure of each.
        rows: labels and values. remarks: of the paper, and on what in it does not agree.
    """

    labels: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[tuple[str, ...], tuple[float, ...]], ...]
    remarks: tuple[str, ...]


@cache
def paper_numbers() -> dict[str, QuotedTable]:
    """Tables I-VIII by key, "table1" to "table8".

    Raises:
        ValueError: a row has another number of values than its table has columns.
    """
    tables = {}
    for key, content in json.loads(FILE.read_text(encoding="utf-8"))["tables"].items():
        columns = tuple((of, measure) for of in content["sets"] or [""] for measure in content["measures"])
        rows = tuple((tuple(row["labels"]), tuple(map(float, row["values"]))) for row in content["rows"])
        tables[key] = QuotedTable(tuple(content["labels"]), columns, rows, tuple(content["remarks"]))
    return tables


@cache
def paper_sets() -> dict[str, str]:
    """Our name of each of the paper's test sets."""
    return dict(json.loads(FILE.read_text(encoding="utf-8"))["sets"])


@cache
def source() -> str:
    """What is quoted."""
    return str(json.loads(FILE.read_text(encoding="utf-8"))["source"])


def quoted_table(key: str) -> ReportTable:
    """A table as the paper has it, all of it quoted.

    Raises:
        ValueError: the paper has no such table.
    """
    if key not in paper_numbers():
        raise ValueError(f"the paper has no {key!r}; it has {', '.join(paper_numbers())}.")
    table = paper_numbers()[key]
    columns = tuple(
        Column(of, measure, 1 if measure == "Time" else 2, UNITS.get(measure, ""), ranked=False)
        for of, measure in table.columns
    )
    rows = tuple(Row(_marked(labels), tuple(map(Cell, values)), quoted=True) for labels, values in table.rows)
    notes = (f"Quoted: {source()}", *table.remarks)
    return ReportTable(f"{key}-quoted", f"Table {_roman(key)} of the paper {MARK}", table.labels, columns, rows, notes)


def quoted_rows(key: str, columns: Sequence[Column], sets: Sequence[SetColumn]) -> tuple[list[Row], list[str]]:
    """The paper's rows in our columns, where we have its sets, and sentences on them; no row where we have none of its sets."""
    table = paper_numbers()[key]
    names = {one.title: one.name for one in sets}
    places = [_place(table, column, names) for column in columns]
    if all(place is None for place in places):
        return [], []
    rows = [
        Row(_marked(labels), tuple(Cell() if place is None else Cell(values[place]) for place in places), quoted=True)
        for labels, values in table.rows
    ]
    note = (
        f"{MARK}: numbers of the paper, which its authors measured on their own copies of these sets, with their networks, "
        "protocol and machine; no mark and no interval goes by them."
    )
    return rows, [note, *table.remarks]


def shows_all(sets: Sequence[SetColumn]) -> bool:
    """Whether all of the paper's sets are among ours."""
    return set(paper_sets().values()) <= {one.name for one in sets}


def _place(table: QuotedTable, column: Column, names: dict[str, str]) -> int | None:
    for place, (of, measure) in enumerate(table.columns):
        if of and names.get(column.group) == paper_sets()[of] and column.title == measure:
            return place
        if not of and COSTS[measure] == (column.group, column.title):
            return place
    return None


def _marked(labels: tuple[str, ...]) -> tuple[str, ...]:
    return (*labels[:-1], f"{labels[-1]} {MARK}") if len(labels) == 1 else (f"{labels[0]} {MARK}", *labels[1:])


def _roman(key: str) -> str:
    return ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")[int(key.removeprefix("table")) - 1]
