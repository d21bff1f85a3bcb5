"""`Prediction`: what a person or a script gets to see of an interaction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfm_isrefiner.clicks import POSITIVE
from vfm_isrefiner.interaction import Interaction
from vfm_isrefiner.predictor.scores import Knots, calibrated, checked_knots, raw_score


@dataclass(frozen=True)
class Click:
    """A click as SAM counts: x to the right, y down, in pixels of the image; pixel centres are whole numbers.

    Positions are kept as float32.
    """

    x: float
    y: float
    positive: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", float(np.float32(self.x)))
        object.__setattr__(self, "y", float(np.float32(self.y)))


def check_inside(click: Click, size: tuple[int, int]) -> None:
    """Nothing, where the click lies in an image of `size` (height, width).

    Raises:
        ValueError: it does not.
    """
    height, width = size
    if not (-0.5 <= click.x < width - 0.5 and -0.5 <= click.y < height - 0.5):
        raise ValueError(
            f"The click at x={click.x:g}, y={click.y:g} lies outside of the image, {width} pixels wide and {height} high "
            "(pixel centres are 0, 1, 2 ...)."
        )


@dataclass(frozen=True, eq=False)
class Prediction:
    """The object after some clicks.

    Attributes:
        mask: (H, W) bool.
        prob: (H, W) float32 in [0, 1], not to be written to.
        score: estimate of the mask's IoU, in [0, 1].
        clicks: all of them, in time order.
    """

    mask: NDArray[np.bool_]
    prob: NDArray[np.float32]
    score: float
    clicks: tuple[Click, ...]


@dataclass(frozen=True)
class Reading:
    """From an interaction to a prediction.

    Attributes:
        threshold: a pixel whose probability is above it is object.
        calibration: knots (raw score, IoU) of the network, or none.

    Raises:
        ValueError: threshold outside (0, 1), or `calibration` is no table of rising knots.
    """

    threshold: float = 0.5
    calibration: Knots = ()

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold is a probability within (0, 1), got {self.threshold}.")
        checked_knots(self.calibration)

    def __call__(self, interaction: Interaction, nodata: Tensor | None = None) -> Prediction:
        """The prediction of the interaction of one object; `nodata` (H, W) bool belongs to no object."""
        prob = interaction.prob if nodata is None else torch.where(nodata, 0, interaction.prob)
        shown = prob[0, 0].numpy(force=True).view()
        shown.flags.writeable = False  # it may be the loop's own memory
        raw = raw_score(shown, self.threshold)
        score = calibrated(raw, self.calibration) if raw > 0 else 0.0
        return Prediction(shown > np.float32(self.threshold), shown, score, clicks_of(interaction))


def clicks_of(interaction: Interaction) -> tuple[Click, ...]:
    """The clicks of the first object."""
    clicks = interaction.clicks
    pairs = zip(clicks.yx[0].tolist(), clicks.label[0].tolist(), strict=True)
    return tuple(Click(x, y, label == POSITIVE) for (y, x), label in pairs)
