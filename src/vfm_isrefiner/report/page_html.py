"""Pieces of a report's page: sections, tables, pictures, and the table of what was compared."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from vfm_isrefiner.report.compared import ComparedRun
from vfm_isrefiner.report.report_table import Cell, Column, ReportTable, Row
from vfm_isrefiner.report.writers import text_of

KINDS = {".png": "image/png", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Picture:
    """A figure for the page.

    Attributes:
        file: PNG or SVG. caption: below it. alt: what it shows, for those who do not see it.

    Raises:
        ValueError: there is no alt text.
    """

    file: Path
    caption: str
    alt: str

    def __post_init__(self) -> None:
        if not self.alt.strip():
            raise ValueError(f"Picture {self.file} needs an alt text that says what it shows, got none.")


def text(value: object) -> str:
    """As text of HTML, in an attribute too."""
    return escape(str(value))


def section(anchor: str, title: str, about: str, content: str) -> str:
    """One section; `content` is HTML, the others are text."""
    lead = f'<p class="about">{text(about)}</p>' if about else ""
    return f'<section id="{text(anchor)}"><h2>{text(title)}</h2>{lead}{content}</section>'


def listed(sentences: Sequence[str]) -> str:
    """A list, or nothing."""
    return f'<ul class="warnings">{"".join(f"<li>{text(each)}</li>" for each in sentences)}</ul>' if sentences else ""


def pictures(of: Sequence[Picture]) -> str:
    """Each with its caption.

    Raises:
        FileNotFoundError: a picture is not there. ValueError: a picture is neither PNG nor SVG.
    """
    return "".join(_picture(each) for each in of)


def table_of(table: ReportTable) -> str:
    """The table with its notes below it; values can be sorted by."""
    rows = "".join(_row(row, table) for row in table.rows)
    notes = "".join(f"<p>{text(note)}</p>" for note in table.notes)
    return (
        f'<div class="table" id="{text(table.key)}">'
        + _scrolling(f"{table.key}-caption", table.title, _heads(table), rows, "sortable")
        + (f'<div class="notes">{notes}</div>' if notes else "")
        + "</div>"
    )


def runs_table(runs: Sequence[ComparedRun]) -> str:
    """What was compared, one row each, or nothing."""
    if not runs:
        return ""
    heads = ["Run", "Settings that differ", "Seeds", "Measured on", "Network", "Folder"]
    rows = []
    for run in runs:
        measured = [f"{name}: {each}" for name, texts in run.measured.items() for each in texts]
        settings = [f"{name}={value}" for name, value in run.settings.items()]
        many = [_lines(settings), _lines(run.seeds, ", "), _lines(measured), _lines(run.models), _folders(run.folders)]
        others = "".join(f'<td class="long">{each}</td>' for each in many)
        rows.append(f'<tr><th scope="row">{text(run.name)}</th>{others}</tr>')
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in heads)
    return f'<div class="table">{_scrolling("runs-caption", "Runs", f"<tr>{head}</tr>", "".join(rows), "runs")}</div>'


def _scrolling(caption: str, title: str, head: str, body: str, kind: str) -> str:
    """A table that scrolls by itself where it is too wide, with the keyboard too."""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-labelledby="{text(caption)}"><table class="{kind}">'
        f'<caption id="{text(caption)}">{text(title)}</caption><thead>{head}</thead><tbody>{body}</tbody></table></div>'
    )


def _heads(table: ReportTable) -> str:
    """One line of headings, or two where columns have groups."""
    grouped, left = any(name for name, _ in table.groups), len(table.labels)
    tall = ' rowspan="2"' if grouped else ""
    first = [f'<th scope="col"{tall} data-place="{place}">{text(label)}</th>' for place, label in enumerate(table.labels)]
    second, place = [], 0
    for name, count in table.groups:
        columns = list(enumerate(table.columns[place : place + count], left + place))
        if name:
            first.append(f'<th scope="colgroup" colspan="{count}" class="group">{text(name)}</th>')
            second += [_head(column, at, "") for at, column in columns]
        else:
            first += [_head(column, at, tall) for at, column in columns]
        place += count
    return f"<tr>{''.join(first)}</tr>" + (f"<tr>{''.join(second)}</tr>" if grouped else "")


def _head(column: Column, place: int, tall: str) -> str:
    unit = f" ({column.unit})" if column.unit else ""
    return f'<th scope="col" class="number"{tall} data-place="{place}">{text(column.title + unit)}</th>'


def _row(row: Row, table: ReportTable) -> str:
    kinds = [word for word, holds in (("reference", row.reference), ("quoted", row.quoted), ("no run", row.missing)) if holds]
    # labels of quoted rows say it themselves
    tag = "".join(f' <span class="tag">{word}</span>' for word in kinds if word != "quoted")
    *others, last = row.labels
    labels = "".join(f'<th scope="row">{text(label)}</th>' for label in others) + f'<th scope="row">{text(last)}{tag}</th>'
    cells = "".join(_cell(cell, column, table) for cell, column in zip(row.cells, table.columns, strict=True))
    kind = f' class="{" ".join(word.replace(" ", "-") for word in kinds)}"' if kinds else ""
    return f"<tr{kind}>{labels}{cells}</tr>"


def _cell(cell: Cell, column: Column, table: ReportTable) -> str:
    shown = text(text_of(cell, column, table))
    marked = {1: f"<strong>{shown}</strong>", 2: f"<u>{shown}</u>"}.get(cell.rank, shown)
    value = "" if cell.mean is None else f' data-value="{float(cell.mean)!r}"'
    return f'<td class="number"{value}>{marked}</td>'


def _picture(picture: Picture) -> str:
    kind = KINDS.get(picture.file.suffix.lower())
    if kind is None:
        raise ValueError(f"{picture.file} cannot be shown in a page; write the figure as {' or '.join(KINDS)}.")
    if not picture.file.is_file():
        raise FileNotFoundError(f"Picture {picture.file} of the report is not there; draw it before the page is written.")
    data = base64.b64encode(picture.file.read_bytes()).decode()
    caption = f"<figcaption>{text(picture.caption)}</figcaption>" if picture.caption else ""
    return f'<figure><img src="data:{kind};base64,{data}" alt="{text(picture.alt)}">{caption}</figure>'


def _folders(paths: Sequence[str]) -> str:
    """Names, with the whole path to be read by pointing at them."""
    return "<br>".join(f'<span title="{text(path)}">{text(Path(path).name)}</span>' for path in paths) or "–"


def _lines(values: Sequence[str], between: str = "<br>") -> str:
    return between.join(map(text, values)) or "–"
