"""A picture sheet of a data set: images with the masks of their instances tinted, outlined and named."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet
from vfm_isrefiner.report.figures import save_figure

COLUMNS = 4
PANEL = 2.9  # inches
LONGEST = 512  # pixels of a side; larger images are thinned out
NAMED = 12  # of the largest instances of an image


@dataclass(frozen=True)
class Sample:
    """One image for the sheet.

    Attributes:
        title: above it.
        image: (H, W, 3) uint8, thinned out where it was large.
        masks: name and (H, W) bool of each instance that could be read.
        ignore: (H, W) bool.
    """

    title: str
    image: NDArray[np.uint8]
    masks: tuple[tuple[str, NDArray[np.bool_]], ...]
    ignore: NDArray[np.bool_]


def read_sample(of: InstanceSet, records: Sequence[InstanceRecord], title: str) -> Sample | None:
    """The image of `records` with their masks; None where the image cannot be read or is of another size than its records."""
    try:
        image = of.read_image(records[0])
    except DataError:
        return None  # told in the report
    if any(tuple(image.shape[1:]) != record.size for record in records):
        return None
    step = -(-max(image.shape[1:]) // LONGEST)
    thin = image[:, ::step, ::step].permute(1, 2, 0).contiguous().numpy()
    masks: list[tuple[str, NDArray[np.bool_]]] = []
    ignored = np.zeros(thin.shape[:2], bool)
    for record in sorted(records, key=lambda record: -record.area):
        try:
            mask, ignore = of.read_mask(record)
        except DataError:
            continue
        if tuple(mask.shape[1:]) != record.size:
            continue
        # Every pixel counts where it falls, so that small objects are not lost between the rows and columns that stay.
        shown = np.zeros(thin.shape[:2], bool)
        shown[tuple(places // step for places in mask[0].numpy().nonzero())] = True
        name = f"{record.category} {record.id.removeprefix(f'{record.image}/')}".strip()
        masks.append((name, shown))
        ignored = ignore[0, ::step, ::step].numpy()
    return Sample(f"{title}  {len(records)} inst.  {image.shape[1]}×{image.shape[2]}", thin, tuple(masks), ignored)


def draw_sheet(samples: Sequence[Sample], path: str | Path) -> Path:
    """Write all samples as one PNG, four beside each other.

    Raises:
        ValueError: there is no sample. OSError: the file could not be written.
    """
    if not samples:
        raise ValueError("draw_sheet needs at least one sample.")
    rows = -(-len(samples) // COLUMNS)
    figure = Figure(figsize=(PANEL * min(COLUMNS, len(samples)), (PANEL + 0.2) * rows), layout="constrained")
    axes = figure.subplots(rows, min(COLUMNS, len(samples)), squeeze=False).flatten()
    for axis in axes:
        axis.set_axis_off()
    for axis, sample in zip(axes, samples, strict=False):
        axis.set_title(sample.title if len(sample.title) <= 48 else f"…{sample.title[-47:]}", fontsize=6.5, parse_math=False)
        axis.imshow(tinted(sample), interpolation="nearest")
        for number, (name, mask) in enumerate(sample.masks[:NAMED]):
            rows_, columns = mask.nonzero()
            if len(rows_):
                place = {"ha": "center", "va": "center", "clip_on": True, "parse_math": False}
                text = axis.text(columns.mean(), rows_.mean(), name, fontsize=4.5, color="white", **place)
                text.set_path_effects([withStroke(linewidth=1.2, foreground=tuple(0.45 * part for part in colour_of(number)))])
    return save_figure(figure, path)


def tinted(sample: Sample) -> NDArray[np.float64]:
    """(H, W, 3) in [0, 1]: each mask in its colour, stronger on its border; what is ignored is pale."""
    image = sample.image / 255
    image = np.where(sample.ignore[..., None], 0.35 * image + 0.4, image)
    for number, (_, mask) in enumerate(sample.masks):
        colour = np.array(colour_of(number))
        padded = np.pad(mask, 1)
        inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        image = np.where((mask & inner)[..., None], 0.7 * image + 0.3 * colour, image)
        image = np.where((mask & ~inner)[..., None], colour, image)
    return image


def colour_of(number: int) -> tuple[float, float, float]:
    """A bright colour for each number; neighbours in number are far apart in hue."""
    return colorsys.hsv_to_rgb(number * 0.618034 % 1, 0.9, 1.0)
