"""Figures of evaluations: curves of the mean IoU (Fig. 7), click-by-click panels (Fig. 8), modulated maps (Fig. 10)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from vfm_isrefiner.clicks import POSITIVE, Clicks
from vfm_isrefiner.files import write_whole
from vfm_isrefiner.instance import Instance
from vfm_isrefiner.interaction import Interaction
from vfm_isrefiner.metrics import iou
from vfm_isrefiner.modulation import modulate_isrefiner, modulate_mfp

Played = Sequence[tuple[Instance, Sequence[Interaction]]]
Window = tuple[slice, slice]

MATCH, MISMATCH = (0.13, 0.75, 0.32), (0.93, 0.16, 0.18)
# told apart also by those who see red and green alike (Okabe and Ito)
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"
PANEL = 2.2  # inches


def click_panels(played: Played, path: str | Path, *, threshold: float = 0.5, at: Sequence[int] = (1, 2, 3, 5, 10)) -> Path:
    """One row per instance: its image with the true outline, then predictions; green is matched, red is not.

    Args:
        played: instances and their interactions after each click (`evaluation.trace`).
        path: PNG to write. threshold: of the evaluation's protocol. at: numbers of clicks to show, where made.

    Raises:
        ValueError: nothing was played. OSError: the file could not be written.
    """
    shown = [number for number in at if played and number <= max(len(history) for _, history in played)]
    if not shown:
        raise ValueError(f"click_panels needs at least one instance with one of the clicks {tuple(at)}.")
    figure, axes = _grid(len(played), 1 + len(shown), row_title=0.25)
    for row, (instance, history) in enumerate(played):
        last = min(len(history), shown[-1])
        window = _window(instance, history[last - 1].clicks)
        _picture(axes[row, 0], _rgb(instance, window), window)
        _outline(axes[row, 0], instance, window, width=1.6)
        axes[row, 0].set_title(_short(" ".join(filter(None, (instance.category, instance.id)))), fontsize=7.5)
        for axis, number in zip(axes[row, 1:], shown, strict=True):
            if number > len(history):
                continue
            interaction = history[number - 1]
            pred = (interaction.prob > threshold).cpu()
            _picture(axis, _overlay(instance, pred[0], window), window)
            _outline(axis, instance, window, width=0.7)
            _dots(axis, interaction.clicks, window)
            score = iou(pred, instance.mask[None], instance.ignore[None]).item()
            axis.set_title(f"{number} click{'s' * (number > 1)}: IoU {100 * score:.1f} %", fontsize=8.5)
    return save_figure(figure, path)


def draw_clicks(instance: Instance, history: Sequence[Interaction], path: str | Path, *, threshold: float = 0.5) -> Path:
    """`click_panels` of one instance."""
    return click_panels([(instance, history)], path, threshold=threshold)


def modulation_panels(played: Played, path: str | Path, *, click: int = 2) -> Path:
    """The probability before click number `click` and as MFP's and our modulation hand it to the network (in image pixels).

    Args:
        played: as for `click_panels`. path: PNG to write. click: from 2, as there is no probability before the first.

    Raises:
        ValueError: `click` is below 2, or an instance has fewer clicks. OSError: the file could not be written.
    """
    if click < 2 or not played or min(len(history) for _, history in played) < click:
        raise ValueError(f"modulation_panels needs click >= 2 and instances with that many clicks, got click={click}.")
    figure, axes = _grid(len(played), 4, beside=0.8)
    for row, (instance, history) in enumerate(played):
        prob, clicks = history[click - 2].prob.cpu(), history[click - 1].clicks.to("cpu")
        window = _window(instance, clicks, expansion=2.0)
        _picture(axes[row, 0], _rgb(instance, window), window)
        maps = (prob, modulate_mfp(prob, clicks), modulate_isrefiner(prob, clicks))
        for axis, values in zip(axes[row, 1:], maps, strict=True):
            _picture(axis, values[0, 0][window].numpy(), window, cmap="magma", vmin=0, vmax=1)
        for axis in axes[row]:
            _outline(axis, instance, window, width=0.9)
            _dots(axis, clicks, window)
    for axis, title in zip(axes[0], ("image", f"before click {click}", "MFP's modulation", "ours"), strict=True):
        axis.set_title(title, fontsize=9)
    figure.colorbar(axes[0, 1].images[0], ax=axes, fraction=0.02, pad=0.01, label="probability")
    return save_figure(figure, path)


def miou_curves(summaries: Mapping[str, Mapping[str, Any]], path: str | Path, *, by_source: bool = False) -> Path:
    """Mean IoU after each click, one line per summary; the legend has the last value in percent.

    Args:
        summaries: as `Evaluation.summary` gives them, by name. path: PNG to write.
        by_source: one plot for each source instead of one for all.

    Raises:
        ValueError: there is no summary with a mean IoU. OSError: the file could not be written.
    """
    sources = list(dict.fromkeys(source for each in summaries.values() for source in each["sources"])) if by_source else [""]
    plots = {
        source: {name: part for name, each in summaries.items() if (part := each["sources"].get(source) if source else each)}
        for source in sources
    }
    if not any(each["miou"].get("1") is not None for plot in plots.values() for each in plot.values()):
        raise ValueError("miou_curves needs a summary with at least one evaluated instance.")
    columns = min(3, len(plots))
    rows = -(-len(plots) // columns)
    legend_columns = 2 if columns == 1 and len(summaries) > 1 else 1
    height = 3.7 + 0.17 * -(-len(summaries) // legend_columns)
    figure = Figure(figsize=(max(5.4, 4.2 * columns), height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis, (source, plot) in zip(axes, plots.items(), strict=False):
        _curves(axis, plot, list(summaries), legend_columns)
        axis.set_title(source, fontsize=10)
    for axis in axes[len(plots) :]:
        axis.set_axis_off()
    return save_figure(figure, path)


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a PNG, complete or not at all.

    Raises:
        OSError: it could not be written.
    """
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=130, facecolor="white")
    write_whole(Path(path), content.getvalue())
    return Path(path)


def _curves(axis: Axes, plot: Mapping[str, Mapping[str, Any]], names: Sequence[str], legend_columns: int) -> None:
    highest = 1
    for name, summary in plot.items():
        values = [100 * value for value in summary["miou"].values() if value is not None]
        if not values:
            continue
        highest, style = max(highest, len(values)), names.index(name)
        axis.plot(
            range(1, len(values) + 1),
            values,
            color=LINES[style % len(LINES)],
            marker=MARKERS[(style + style // len(LINES)) % len(MARKERS)],  # with a colour's second use goes another marker
            markersize=4,
            linewidth=1.6,
            label=f"{name} [{values[-1]:.2f}]",
        )
    axis.set_xticks([1, *range(5, highest + 1, 5)] if highest >= 10 else range(1, highest + 1))
    axis.set_xlabel("clicks")
    axis.set_ylabel("mean IoU (%)")
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    # below the axes, where it covers no curve
    axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=legend_columns, frameon=False)


def _grid(rows: int, columns: int, *, row_title: float = 0.0, beside: float = 0.0) -> tuple[Figure, Any]:
    """Square pictures, with room for titles above each row and for something beside them, in inches."""
    figure = Figure(figsize=(PANEL * columns + beside, (PANEL + row_title) * rows + 0.15), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flatten():
        axis.set_axis_off()
    return figure, axes


def _window(instance: Instance, clicks: Clicks, expansion: float = 1.5, least: int = 48) -> Window:
    """A square round the object and its clicks, moved into the image where it sticks out."""
    yx = clicks.yx[0, clicks.used[0]].cpu().long()
    points = torch.cat([(instance.mask[0] & ~instance.ignore[0]).nonzero(), yx])
    low, high = points.amin(0), points.amax(0)
    side = max(least, int(expansion * (high - low + 1).max()))
    spans = []
    for axis, length in enumerate(instance.mask.shape[1:]):
        first = int((low[axis] + high[axis] + 1 - side) // 2)
        first = max(0, min(first, length - side))
        spans.append(slice(first, min(length, first + side)))
    return spans[0], spans[1]


def _rgb(instance: Instance, window: Window) -> np.ndarray:
    image = instance.image[:, *window].permute(1, 2, 0).float().numpy() / 255
    return np.where(instance.ignore[0][window].numpy()[..., None], 0.35 * image + 0.4, image)  # what does not count is pale


def _overlay(instance: Instance, pred: torch.Tensor, window: Window) -> np.ndarray:
    image = _rgb(instance, window)
    part, mask, ignore = (tensor[0][window].numpy() for tensor in (pred, instance.mask, instance.ignore))
    for region, colour in ((part & mask & ~ignore, MATCH), ((part ^ mask) & ~ignore, MISMATCH)):
        image = np.where(region[..., None], 0.5 * image + 0.5 * np.array(colour), image)
    return image


def _picture(axis: Axes, image: np.ndarray, window: Window, **settings: Any) -> None:
    rows, columns = window
    extent = (columns.start - 0.5, columns.stop - 0.5, rows.stop - 0.5, rows.start - 0.5)
    axis.imshow(image, extent=extent, interpolation="nearest", **settings)
    axis.set_xlim(extent[:2])
    axis.set_ylim(extent[2:])


def _outline(axis: Axes, instance: Instance, window: Window, width: float) -> None:
    mask = np.pad(instance.mask[0][window].numpy().astype(float), 1)  # closes outlines at the border
    rows, columns = (np.arange(span.start - 1, span.stop + 1) for span in window)
    drawn = axis.contour(columns, rows, mask, levels=[0.5], colors="white", linewidths=width)
    drawn.set_path_effects([withStroke(linewidth=width + 1, foreground="black", alpha=0.6)])


def _dots(axis: Axes, clicks: Clicks, window: Window) -> None:
    """All clicks so far; the newest is the largest."""
    used = clicks.used[0].cpu()
    yx, label = clicks.yx[0].cpu()[used], clicks.label[0].cpu()[used]
    for number, ((y, x), sign) in enumerate(zip(yx.tolist(), label.tolist(), strict=True), 1):
        newest = number == len(yx)
        colour = MATCH if sign == POSITIVE else MISMATCH
        axis.scatter(
            x, y, s=46 if newest else 20, color=[colour], edgecolors="white", linewidths=1.1 if newest else 0.7, zorder=3
        )


def _short(text: str, longest: int = 34) -> str:
    return text if len(text) <= longest else f"…{text[1 - longest :]}"
