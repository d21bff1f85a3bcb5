"""Differences with their intervals, and scores by size or class, as dots on a common scale."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from vfm_isrefiner.report.report_table import ALIKE, Cell, Difference, ReportTable, Row
from vfm_isrefiner.report.saving import LINES, line_style, plain, save_figure

TOLD_APART, NOT_TOLD_APART = LINES[0], "0.45"


def differences_of(table: ReportTable) -> dict[str, Difference]:
    """All differences of a table, by row and column, column after column."""
    return {
        f"{_label(row)} · {column.heading}": cell.difference
        for place, column in enumerate(table.columns)
        for row in table.rows
        if (cell := row.cells[place]).difference is not None
    }


def difference_plot(rows: Mapping[str, Difference], path: str | Path, *, quantity: str = "difference of NoC (clicks)") -> Path:
    """One line per difference: a filled dot where it is told apart from none, a hollow one where it is not.

    Args:
        rows: by what is compared, from the top. path: PNG, PDF or SVG to write. quantity: below the scale.

    Raises:
        ValueError: there is no row. OSError: the file could not be written.
    """
    if not rows:
        raise ValueError("difference_plot needs at least one difference; a table has some where it has a reference row.")
    figure = Figure(figsize=(7.6, 0.95 + 0.27 * len(rows)), layout="constrained")
    axis = figure.subplots()
    axis.axvline(0, color="black", linewidth=0.9)
    beside = blended_transform_factory(axis.transAxes, axis.transData)
    for place, row in enumerate(rows.values()):
        apart = row.verdict != ALIKE
        colour = TOLD_APART if apart else NOT_TOLD_APART
        axis.plot([row.low, row.high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
        face = colour if apart else "white"
        axis.plot(row.mean, place, "o", markersize=6, color=colour, markerfacecolor=face, markeredgewidth=1.4)
        numbers = f"{row.mean:+6.2f} [{row.low:+6.2f}, {row.high:+6.2f}]".replace("-", "−")
        axis.text(1.02, place, numbers, transform=beside, va="center", fontsize=8, family="monospace")
    _lines(axis, list(rows))
    axis.margins(x=0.08)
    above = blended_transform_factory(axis.transData, axis.transAxes)
    if any(row.low < 0 for row in rows.values()):
        axis.text(0, 1, "← fewer ", transform=above, ha="right", va="bottom", fontsize=8.5)
    if any(row.high > 0 for row in rows.values()):
        axis.text(0, 1, " more →", transform=above, ha="left", va="bottom", fontsize=8.5)
    axis.set_xlabel(quantity, fontsize=9)
    return save_figure(figure, path, dpi=150)


def breakdown_plot(table: ReportTable, path: str | Path, *, quantity: str = "NoC (clicks)") -> Path:
    """One line per column of `table` (a size, a class) and on it one mark per row (a method), with its interval if it has one.

    A method has the look that it has in `click_curves` where both have the same order.

    Args:
        table: with groups of instances as columns. path: PNG, PDF or SVG to write. quantity: below the scale.

    Raises:
        ValueError: there is no score. OSError: the file could not be written.
    """
    if not any(cell.mean is not None for row in table.rows for cell in row.cells):
        raise ValueError(f"breakdown_plot needs at least one score, and table {table.key} has none.")
    thick = max(0.3, 0.1 * len(table.rows) + 0.12)  # inches of a line
    height = 0.8 + thick * len(table.columns) + 0.19 * -(-len(table.rows) // 2)
    figure = Figure(figsize=(6.6, height), layout="constrained")
    axis = figure.subplots()
    for number, row in enumerate(table.rows):
        shift = (number - (len(table.rows) - 1) / 2) * 0.7 / len(table.rows)
        _marks(axis, row, number, {place + shift: cell for place, cell in enumerate(row.cells)})
    _lines(axis, [column.heading for column in table.columns])
    for place in range(1, len(table.columns)):
        axis.axhline(place - 0.5, color="0.88", linewidth=0.8)
    axis.set_xlabel(quantity, fontsize=9)
    axis.margins(x=0.05)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return save_figure(figure, path, dpi=150)


def _marks(axis: Axes, row: Row, number: int, cells: Mapping[float, Cell]) -> None:
    style = line_style(number)
    known = {place: cell.mean for place, cell in cells.items() if cell.mean is not None}
    for place, cell in cells.items():
        if cell.low is not None and cell.high is not None:
            axis.plot([cell.low, cell.high], [place, place], color=style["color"], linewidth=1.4, alpha=0.6)
    look = {"color": style["color"], "marker": style["marker"], "markersize": 5.5, "linestyle": ""}
    axis.plot(list(known.values()), list(known), **look, label=plain(_label(row)))


def _lines(axis: Axes, names: list[str]) -> None:
    axis.set_yticks(range(len(names)), [plain(name, 50) for name in names], fontsize=8.5)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.tick_params(axis="x", labelsize=8.5)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.grid(axis="x", alpha=0.3)


def _label(row: Row) -> str:
    return " ".join(filter(None, row.labels))
