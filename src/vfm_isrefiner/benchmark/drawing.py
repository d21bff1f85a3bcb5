"""Pictures of benchmarks: how cost grows, and where the time of a click goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from vfm_isrefiner.report.saving import LINES, save_figure

BARS = "tab20"


def draw_growth(curves: Mapping[str, Sequence[tuple[float, float]]], file: Path, title: str) -> None:
    """A panel for each curve, both axes logarithmic; the grey line grows in proportion, from the curve's first point."""
    curves = {name: curve for name, curve in curves.items() if len(curve) > 1}
    if not curves:
        return
    figure = Figure(figsize=(3.6 * len(curves), 3.4), layout="constrained")
    for axis, (name, curve) in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True):
        x, seconds = np.array(curve).T
        power = 2 if name.startswith("side") else 1
        proportion = "in proportion to the area" if power == 2 else "in proportion"
        axis.plot(x, seconds[0] * (x / x[0]) ** power, color="0.75", label=proportion)
        axis.plot(x, seconds, marker="o", color=LINES[0], label="measured")
        axis.set(xscale="log", yscale="log", xlabel=name, ylabel="seconds")
        named: list[float] = []
        last = 0.0
        for value in x:  # on the logarithmic axis the last ones of many would lie on each other
            if value >= 1.25 * last:
                last = float(value)
                named.append(value)
        axis.set_xticks(named, [f"{value:g}" for value in named])
        axis.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        for which in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
            which(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.legend(frameon=False, fontsize="small")
    figure.suptitle(title, fontsize="medium")
    save_figure(figure, file)


def draw_profile(parts: Mapping[str, Mapping[str, float]], file: Path, title: str) -> None:
    """A bar for each of `parts`, cut into its named seconds."""
    labels = list(dict.fromkeys(label for found in parts.values() for label in found))
    figure = Figure(figsize=(9, 1.1 + 0.7 * len(parts) + 0.28 * ((len(labels) + 2) // 3)), layout="constrained")
    axis = figure.subplots()
    shades = _shades(len(labels))
    for row, found in enumerate(parts.values()):
        left = 0.0
        for label, seconds in found.items():
            axis.barh(row, 1e3 * seconds, left=left, color=shades[labels.index(label)], edgecolor="white")
            left += 1e3 * seconds
        axis.text(left, row, f" {left:.0f} ms", va="center")
    axis.set_yticks(range(len(parts)), list(parts))
    axis.invert_yaxis()
    axis.set_xlabel("milliseconds")
    axis.margins(x=0.12)
    for label, shade in zip(labels, shades, strict=True):
        axis.bar(0, 0, color=shade, label=label)
    axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize="medium")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    save_figure(figure, file)


def _shades(count: int) -> list[tuple[float, float, float, float]]:
    return [colormaps[BARS](number % 20) for number in range(count)]
