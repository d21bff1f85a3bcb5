"""What click-by-click pictures are made of: crops, overlays, outlines and clicks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from vfm_isrefiner.clicks import POSITIVE, Clicks
from vfm_isrefiner.instance import Instance
from vfm_isrefiner.interaction import Interaction
from vfm_isrefiner.metrics import iou

Window = tuple[slice, slice]

MATCH, MISMATCH = (0.13, 0.75, 0.32), (0.93, 0.16, 0.18)
PANEL = 2.2  # inches


def picture_grid(rows: int, columns: int, *, row_title: float = 0.0, beside: float = 0.0) -> tuple[Figure, Any]:
    """Square pictures, with room for titles above each row and for something beside them, in inches."""
    figure = Figure(figsize=(PANEL * columns + beside, (PANEL + row_title) * rows + 0.15), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flatten():
        axis.set_axis_off()
    return figure, axes


def window_of(instance: Instance, clicks: Sequence[Clicks], expansion: float = 1.5, least: int = 48) -> Window:
    """A square round the object and all of its clicks, moved into the image where it sticks out."""
    points = torch.cat(
        [(instance.mask[0] & ~instance.ignore[0]).nonzero(), *(each.yx[0, each.used[0]].cpu().long() for each in clicks)]
    )
    low, high = points.amin(0), points.amax(0)
    side = max(least, int(expansion * (high - low + 1).max()))
    spans = []
    for axis, length in enumerate(instance.mask.shape[1:]):
        first = int((low[axis] + high[axis] + 1 - side) // 2)
        first = max(0, min(first, length - side))
        spans.append(slice(first, min(length, first + side)))
    return spans[0], spans[1]


def draw_truth(axis: Axes, instance: Instance, window: Window) -> None:
    """The image with the object's outline."""
    show(axis, rgb(instance, window), window)
    outline(axis, instance, window, width=1.6)


def draw_prediction(axis: Axes, instance: Instance, interaction: Interaction, window: Window, threshold: float) -> float:
    """The image, green where prediction and object agree and red where not, with clicks and outline; the IoU."""
    pred = (interaction.prob > threshold).cpu()
    show(axis, overlay(instance, pred[0], window), window)
    outline(axis, instance, window, width=0.7)
    dots(axis, interaction.clicks, window)
    return iou(pred, instance.mask[None], instance.ignore[None]).item()


def rgb(instance: Instance, window: Window) -> np.ndarray:
    """(h, w, 3) in [0, 1]; pixels that do not count are pale."""
    image = instance.image[:, *window].permute(1, 2, 0).float().numpy() / 255
    return np.where(instance.ignore[0][window].numpy()[..., None], 0.35 * image + 0.4, image)


def overlay(instance: Instance, pred: torch.Tensor, window: Window) -> np.ndarray:
    """(h, w, 3) in [0, 1]: `rgb` tinted where `pred` (1, H, W) bool and the object agree, and where they do not."""
    image = rgb(instance, window)
    part, mask, ignore = (tensor[0][window].numpy() for tensor in (pred, instance.mask, instance.ignore))
    for region, colour in ((part & mask & ~ignore, MATCH), ((part ^ mask) & ~ignore, MISMATCH)):
        image = np.where(region[..., None], 0.5 * image + 0.5 * np.array(colour), image)
    return image


def show(axis: Axes, image: np.ndarray, window: Window, **settings: Any) -> None:
    """`image` at its place in the instance's image."""
    rows, columns = window
    extent = (columns.start - 0.5, columns.stop - 0.5, rows.stop - 0.5, rows.start - 0.5)
    axis.imshow(image, extent=extent, interpolation="nearest", **settings)
    axis.set_xlim(extent[:2])
    axis.set_ylim(extent[2:])


def outline(axis: Axes, instance: Instance, window: Window, width: float) -> None:
    """The border of the object."""
    mask = np.pad(instance.mask[0][window].numpy().astype(float), 1)  # closes outlines at the border
    rows, columns = (np.arange(span.start - 1, span.stop + 1) for span in window)
    drawn = axis.contour(columns, rows, mask, levels=[0.5], colors="white", linewidths=width)
    drawn.set_path_effects([withStroke(linewidth=width + 1, foreground="black", alpha=0.6)])


def dots(axis: Axes, clicks: Clicks, window: Window) -> None:
    """All clicks so far inside the window, positive ones round and negative ones square; the newest is the largest."""
    used = clicks.used[0].cpu()
    yx, label = clicks.yx[0].cpu()[used], clicks.label[0].cpu()[used]
    old = 20 if len(yx) <= 8 else 11  # many clicks would hide what they did
    for number, ((y, x), sign) in enumerate(zip(yx.tolist(), label.tolist(), strict=True), 1):
        if not all(span.start - 0.5 <= value <= span.stop - 0.5 for span, value in zip(window, (y, x), strict=True)):
            continue
        newest, positive = number == len(yx), sign == POSITIVE
        axis.scatter(
            x,
            y,
            s=(46 if newest else old) * (1 if positive else 0.8),
            marker="o" if positive else "s",
            color=[MATCH if positive else MISMATCH],
            edgecolors="white",
            linewidths=1.1 if newest else 0.7,
            zorder=3,
        )


def explain(figure: Figure) -> None:
    """One line below the pictures that says what colours and signs mean."""
    click: Any = {"linestyle": "", "markeredgecolor": "white", "markersize": 7}
    border = Line2D([], [], color="white", linewidth=1.6)
    border.set_path_effects([withStroke(linewidth=2.6, foreground="black", alpha=0.6)])
    signs = {
        "matched": Patch(color=MATCH, alpha=0.6, linewidth=0),
        "missed or too much": Patch(color=MISMATCH, alpha=0.6, linewidth=0),
        "true outline": border,
        "positive click": Line2D([], [], color=MATCH, marker="o", **click),
        "negative click": Line2D([], [], color=MISMATCH, marker="s", **click),
    }
    figure.legend(
        list(signs.values()), list(signs), loc="outside lower center", ncols=5, fontsize=8, frameon=False, handlelength=1.4
    )
