"""Mean IoU after each click (Fig. 7), of summaries or of evaluations of several seeds with a band."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from vfm_isrefiner.evaluation import Evaluation, InstanceResult
from vfm_isrefiner.evaluation.summary import iou_table
from vfm_isrefiner.report.saving import line_style, plain, save_figure
from vfm_isrefiner.report.statistics import interval

Table = NDArray[np.float64]
Band = Callable[[Table], tuple[Table, Table] | None]
"""(seeds, instances, clicks) IoU -> lower and upper border (clicks,) of the mean, or None where there is none."""

SHORT = 20  # letters of a name that leave room for two columns in a legend
BANDED = 6  # lines of a plot; bands of more cover each other


@dataclass(frozen=True)
class Curve:
    """One line: mean IoU in percent after click 1, 2, …, and the borders of its band or None."""

    values: Table
    low: Table | None = None
    high: Table | None = None


def seed_deviation(ious: Table) -> tuple[Table, Table] | None:
    """Mean ± standard deviation over seeds (of the sample, n - 1); None for a single seed."""
    if len(ious) < 2:
        return None
    means = ious.mean(1)
    return means.mean(0) - means.std(0, ddof=1), means.mean(0) + means.std(0, ddof=1)


def instance_interval(ious: Table) -> tuple[Table, Table] | None:
    """Bootstrap 95 % interval over instances of the mean over seeds, for each click; None for a single instance."""
    table = ious.mean(0)
    if len(table) < 2:
        return None
    low, high = zip(*(interval(column, draws=1000) for column in table.T), strict=True)
    return np.array(low), np.array(high)


def click_curves(
    plots: Mapping[str, Mapping[str, Sequence[Evaluation]]], path: str | Path, *, band: Band = seed_deviation
) -> Path:
    """One plot per set and in it one line per method: the mean over its seeds; the legend has the last value in percent.

    Args:
        plots: evaluations of each seed, by the names of set and method. A method has one look in all plots.
        path: PNG, PDF or SVG to write. band: what is shaded round each line.

    Raises:
        ValueError: there is no evaluated instance, or seeds of a method have other instances.
        OSError: the file could not be written.
    """
    curves = {
        of: {name: _curve_of(f"{name} on {of}", seeds, band) for name, seeds in methods.items()}
        for of, methods in plots.items()
    }
    return _draw(curves, path)


def miou_curves(summaries: Mapping[str, Mapping[str, Any]], path: str | Path, *, by_source: bool = False) -> Path:
    """Mean IoU after each click, one line per summary; the legend has the last value in percent.

    Args:
        summaries: as `Evaluation.summary` gives them, by name. path: PNG, PDF or SVG to write.
        by_source: one plot for each source instead of one for all.

    Raises:
        ValueError: there is no summary with a mean IoU. OSError: the file could not be written.
    """
    sources = list(dict.fromkeys(source for each in summaries.values() for source in each["sources"])) if by_source else [""]
    curves: dict[str, dict[str, Curve]] = {}
    for source in sources:
        parts = {name: each["sources"].get(source) if source else each for name, each in summaries.items()}
        curves[source] = {
            name: Curve(100 * np.array([value for value in part["miou"].values() if value is not None]))
            for name, part in parts.items()
            if part
        }
    return _draw(curves, path)


def _curve_of(name: str, seeds: Sequence[Evaluation], band: Band) -> Curve:
    rows = [{(result.source, result.id): result for result in each.results if result.evaluated} for each in seeds]
    if not rows or not rows[0]:
        return Curve(np.zeros(0))
    if any(row.keys() != rows[0].keys() for row in rows):
        counts = ", ".join(str(len(row)) for row in rows)
        raise ValueError(f"The seeds of {name} were not evaluated on the same instances ({counts}); their mean says nothing.")
    clicks = min(each.protocol.max_clicks for each in seeds)
    ious = np.stack([_ious([row[key] for key in rows[0]], clicks) for row in rows])
    known = int((~np.isnan(ious).any((0, 1))).sum())  # clicks that all instances made
    ious = ious[..., :known]
    borders = band(ious) if known else None
    low, high = (None, None) if borders is None else (100 * borders[0], 100 * borders[1])
    return Curve(100 * ious.mean((0, 1)), low, high)


def _ious(results: Sequence[InstanceResult], clicks: int) -> Table:
    return iou_table([*results], clicks).numpy()


def _draw(plots: Mapping[str, Mapping[str, Curve]], path: str | Path) -> Path:
    if not any(len(curve.values) for plot in plots.values() for curve in plot.values()):
        raise ValueError("Curves of the mean IoU need a summary with at least one evaluated instance.")
    names = list(dict.fromkeys(name for plot in plots.values() for name in plot))
    columns = min(3, len(plots))
    rows = -(-len(plots) // columns)
    legend_columns = 2 if columns == 1 and len(names) > 1 and max(map(len, names)) <= SHORT else 1
    height = 3.7 + 0.17 * -(-len(names) // legend_columns)
    figure = Figure(figsize=(max(5.4, 4.2 * columns), height * rows), layout=ConstrainedLayoutEngine(w_pad=0.1))
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis, (title, plot) in zip(axes, plots.items(), strict=False):
        for name, curve in plot.items():
            if len(curve.values):
                _line(axis, curve, name, names.index(name), banded=len(plot) <= BANDED)
        _finish(axis, max((len(curve.values) for curve in plot.values()), default=1), legend_columns)
        axis.set_title(plain(title), fontsize=10)
    for axis in axes[len(plots) :]:
        axis.set_axis_off()
    return save_figure(figure, path, dpi=150)


def _line(axis: Axes, curve: Curve, name: str, number: int, *, banded: bool) -> None:
    clicks, style = np.arange(1, len(curve.values) + 1), line_style(number)
    label = f"{curve.values[-1]:.2f}"
    if curve.low is not None and curve.high is not None:
        if banded:
            axis.fill_between(clicks, curve.low, curve.high, color=style["color"], alpha=0.16, linewidth=0)
        label += f" ± {(curve.high[-1] - curve.low[-1]) / 2:.2f}"
    # markers of many lines on long curves stand at different clicks, so that none hides another
    every = (number % 3, 3) if len(clicks) > 8 else 1
    axis.plot(clicks, curve.values, **style, markevery=every, markersize=4.2, linewidth=1.5, label=f"{plain(name)} [{label}]")


def _finish(axis: Axes, highest: int, legend_columns: int) -> None:
    axis.set_xticks([1, *range(5, highest + 1, 5)] if highest >= 10 else range(1, highest + 1))
    axis.set_xlabel("clicks")
    axis.set_ylabel("mean IoU (%)")
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    if axis.get_legend_handles_labels()[0]:
        # below the axes, where it covers no curve
        axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=legend_columns, frameon=False)
