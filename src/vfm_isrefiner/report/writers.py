"""Writes a `ReportTable` as Markdown, LaTeX (booktabs) or CSV."""

from __future__ import annotations

import csv as csv_format
import io
from collections.abc import Sequence

from vfm_isrefiner.report.report_table import ALIKE, Cell, Column, ReportTable, Row

ABSENT = "–"
TOLD_APART = "†"
MINUS = "−"
NARROW = 8  # columns that fit beside the text of a page of two
IN_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": "$<$",
    ">": "$>$",
    "[": "{[}",  # behind a line's end it would be an argument
    "*": "{*}",
    '"': "''",
    "|": "$|$",
    "±": r"$\pm$",
    "−": "$-$",
    "×": r"$\times$",
    "✓": r"$\checkmark$",
    "†": r"$^\dagger$",
    "θ": r"$\theta$",
    "≥": r"$\geq$",
    "–": "--",
    "·": r"$\cdot$",
    "…": r"\dots{}",
}


def text_of(cell: Cell, column: Column, table: ReportTable) -> str:
    """A cell as plain text, without its mark: "6.51 ± 0.03", "6.51 [6.40, 6.63]", "−0.25 [−0.40, −0.10] fewer clicks"."""
    if cell.mean is None:
        return ABSENT
    value = _number(cell.mean, column)
    if table.intervals:
        borders = (
            "" if cell.low is None or cell.high is None else f" [{_number(cell.low, column)}, {_number(cell.high, column)}]"
        )
        return f"{value}{borders} {cell.verdict}".rstrip()
    spread = "" if cell.std is None else f" ± {cell.std:.{column.decimals}f}"
    seeds = "" if table.even or not cell.seeds else f" ({cell.seeds})"
    told = "" if cell.difference is None or cell.difference.verdict == ALIKE else TOLD_APART
    return f"{value}{told}{spread}{seeds}"


def markdown(table: ReportTable) -> str:
    """A heading line, the table with aligned columns, and its notes. The best is bold, the second best underlined."""
    lines = [[*table.labels, *(column.heading for column in table.columns)]]
    for row in table.rows:
        cells = [_marked(text_of(cell, column, table), cell, "**{}**", "<u>{}</u>") for cell, column in _pairs(row, table)]
        lines.append([*(label.replace("*", "\\*") for label in row.labels), *cells])
    lines = [[text.replace("|", "\\|") for text in line] for line in lines]
    widths = [max(3, *(len(line[place]) for line in lines)) for place in range(len(lines[0]))]
    left = len(table.labels)
    rule = ["-" * width if place < left else "-" * (width - 1) + ":" for place, width in enumerate(widths)]
    shown = [_line(line, widths, left) for line in [lines[0], rule, *lines[1:]]]
    notes = [f"- {note}" for note in table.notes]
    return "\n".join([f"**{table.title}**", "", *shown, *([""] if notes else []), *notes, ""])


def latex(table: ReportTable) -> str:
    """A `table` environment in the manner of booktabs; of more than `NARROW` columns, one as wide as the page."""
    left = len(table.labels)
    wide = left + len(table.columns) > NARROW
    environment = "table*" if wide else "table"
    grouped = any(name for name, _ in table.groups)
    own = [column.title + (f" ({column.unit})" if column.unit else "") for column in table.columns]
    lines = [
        f"% needs \\usepackage{{booktabs,amssymb{',graphicx' if wide else ''}}}",
        f"\\begin{{{environment}}}",
        "  \\centering",
        f"  \\caption{{{escaped(table.title)}}}",
        f"  \\label{{tab:{table.key}}}",
        *(["  \\resizebox{\\textwidth}{!}{%"] if wide else []),
        f"  \\begin{{tabular}}{{{'l' * left}{'r' * len(table.columns)}}}",
        "    \\toprule",
        *(_latex_groups(table) if grouped else []),
        f"    {' & '.join(escaped(text) for text in (*table.labels, *own))} \\\\",
        "    \\midrule",
        *(f"    {_latex_row(row, table)}" for row in table.rows if not row.quoted),
    ]
    quoted = [f"    {_latex_row(row, table)}" for row in table.rows if row.quoted]
    if quoted and len(quoted) < len(table.rows):
        lines.append("    \\midrule")
    lines += [*quoted, "    \\bottomrule", "  \\end{tabular}" + ("}" if wide else "")]
    if table.notes:
        notes = " \\\\ ".join(escaped(note) for note in table.notes)
        lines.append(f"  \\par\\smallskip\\begin{{minipage}}{{\\linewidth}}\\footnotesize {notes}\\end{{minipage}}")
    return "\n".join([*lines, f"\\end{{{environment}}}", ""])


def csv(table: ReportTable) -> str:
    """One line for each value, with plain numbers: mean, std, n (seeds), instances, the interval low to high, the difference to
    the reference row with its interval and verdict, and whether it is quoted. What is not there is empty."""
    text = io.StringIO(newline="")
    writer = csv_format.writer(text, lineterminator="\n")
    writer.writerow(["table", *table.labels, "set", "measure", "unit", *_FIELDS])
    for row in table.rows:
        for cell, column in _pairs(row, table):
            writer.writerow([table.key, *row.labels, column.group, column.title, column.unit, *_plain(cell, row)])
    return text.getvalue()


_FIELDS = (
    *("mean", "std", "n", "instances", "low", "high", "rank"),
    *("difference", "difference_low", "difference_high", "verdict", "reference", "quoted"),
)


def escaped(text: str) -> str:
    """Text as LaTeX takes it."""
    return "".join(IN_LATEX.get(letter, letter) for letter in text)


def _plain(cell: Cell, row: Row) -> list[object]:
    found = cell.difference
    differences = ["", "", "", cell.verdict] if found is None else [found.mean, found.low, found.high, found.verdict]
    seen = ["" if value is None else value for value in (cell.mean, cell.std)]
    borders = ["" if value is None else value for value in (cell.low, cell.high)]
    counts = [cell.seeds or "", cell.instances or ""]
    return [*seen, *counts, *borders, cell.rank or "", *differences, int(row.reference), int(row.quoted)]


def _latex_groups(table: ReportTable) -> list[str]:
    left, heads, rules = len(table.labels), [], []
    begin = left + 1
    for name, count in table.groups:
        heads.append(f"\\multicolumn{{{count}}}{{c}}{{{escaped(name)}}}")
        if name:
            rules.append(f"\\cmidrule(lr){{{begin}-{begin + count - 1}}}")
        begin += count
    return [f"    {'& ' * left}{' & '.join(heads)} \\\\", f"    {' '.join(rules)}"]


def _latex_row(row: Row, table: ReportTable) -> str:
    cells = [
        _marked(escaped(text_of(cell, column, table)), cell, "\\textbf{{{}}}", "\\underline{{{}}}")
        for cell, column in _pairs(row, table)
    ]
    return f"{' & '.join([*map(escaped, row.labels), *cells])} \\\\"


def _pairs(row: Row, table: ReportTable) -> list[tuple[Cell, Column]]:
    return list(zip(row.cells, table.columns, strict=True))


def _marked(text: str, cell: Cell, best: str, second: str) -> str:
    return best.format(text) if cell.rank == 1 else second.format(text) if cell.rank == 2 else text


def _number(value: float, column: Column) -> str:
    shown = f"{value:{'+' if column.signed else ''}.{column.decimals}f}"
    return shown.replace("-", "") if float(shown) == 0 and shown.startswith("-") else shown.replace("-", MINUS)


def _line(cells: Sequence[str], widths: Sequence[int], left: int) -> str:
    aligned = [
        cell.ljust(width) if place < left else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(aligned)} |"
