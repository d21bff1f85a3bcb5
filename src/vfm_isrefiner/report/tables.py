"""Summaries of evaluations as a table (Tables I and V-VIII: NoC; Fig. 7's mean IoU; Table III's time)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vfm_isrefiner.evaluation import SUMMARY_FILE

Summary = Mapping[str, Any]
CLICKS = ("1", "5", "10", "20")


def markdown_table(summaries: Mapping[str, Summary], *, by_source: bool = False) -> str:
    """One row per summary, by name: NoC and NoF, mean IoU in percent after 1, 5, 10 and 20 clicks, seconds per click.

    Args:
        summaries: as `Evaluation.summary` gives them.
        by_source: with a row for each source below it, where there are several.

    Raises:
        ValueError: there is no summary.
    """
    if not summaries:
        raise ValueError("markdown_table got no summary; evaluate something first, or check the folder given to collect.")
    rows = [_row(name, summary) for name, summary in _named(summaries, by_source)]
    columns = [column for column in rows[0] if any(row[column] is not None for row in rows)]
    cells = [columns, *([_cell(column, row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    lines = [_line(line, widths) for line in cells]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([lines[0], _line(rule, widths), *lines[1:]])


def collect(folder: str | Path) -> dict[str, Summary]:
    """The summaries of all evaluations saved below `folder`, by the path from there; files that are none are left out.

    Raises:
        FileNotFoundError: `folder` does not exist.
        ValueError: a summary is no JSON.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; give one that holds evaluations (outputs/ by default).")
    summaries: dict[str, Summary] = {}
    for path in sorted(folder.rglob(SUMMARY_FILE)):
        try:
            summary = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise ValueError(f"{path} is no JSON ({error}); delete it or evaluate again.") from error
        if isinstance(summary, dict) and {"protocol", "noc", "miou"} <= set(summary):
            summaries[path.parent.relative_to(folder).as_posix()] = summary
    return summaries


def _named(summaries: Mapping[str, Summary], by_source: bool) -> list[tuple[str, Summary]]:
    named = []
    for name, summary in summaries.items():
        named.append((name, summary))
        sources = summary.get("sources", {})
        if by_source and len(sources) > 1:
            named += [(f"{name} · {source}", part) for source, part in sources.items()]
    return named


def _row(name: str, summary: Summary) -> dict[str, Any]:
    return {
        "": name,
        "instances": summary["instances"],
        **{f"NoC{at}": value for at, value in summary["noc"].items()},
        "NoF90": summary["nof"]["90"],
        **{f"mIoU@{click}": summary["miou"].get(click) for click in CLICKS},
        "s/click": summary["seconds_per_click"]["total"],
    }


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "–"
    if column.startswith("mIoU"):
        return f"{100 * value:.2f}"
    if column == "s/click":
        return f"{value:.3f}"
    return f"{value:.2f}" if column.startswith("NoC") else str(value)


def _line(cells: list[str], widths: list[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "| " + " | ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]) + " |"
