"""SAM's prompts as clicks, and its low-resolution logits: what one call of `predict` returns and the next takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional as F

from vfm_isrefiner.predictor.prediction import Click

LOW = 256  # both sides, whatever the image's aspect ratio, as in SAM 2
LEAST = 1e-6  # probabilities are kept so far from 0 and 1, which have no logit


def clicks_from(
    coords: ArrayLike | None, labels: ArrayLike | None, box: ArrayLike | None, scale: tuple[int, int] = (1, 1)
) -> list[Click]:
    """The points of one object, in order.

    Args:
        coords: (N, 2) x, y, N >= 1. labels: (N,) 1 or 0. box: must be None.
        scale: (height, width) of what the coordinates are fractions of; (1, 1) where they are pixels.

    Raises:
        ValueError: a box, no points, or another shape or label.
    """
    if box is not None:
        raise ValueError(
            "This network takes clicks, no box. Click on the middle of the box's object, and off it where the mask is too "
            "large; or start from a rough mask with session(image).start_from(mask)."
        )
    if coords is None or labels is None:
        raise ValueError("predict needs point_coords (N, 2) and point_labels (N,), one point at least.")
    xy, label = np.asarray(coords, np.float64), np.asarray(labels)
    if xy.ndim != 2 or xy.shape[1] != 2 or not len(xy) or label.shape != xy.shape[:1]:
        raise ValueError(
            f"point_coords (N, 2) and point_labels (N,) of one object were expected, N at least 1, got {xy.shape} and "
            f"{label.shape}. Call predict once for each object."
        )
    if not np.isin(label, (0, 1)).all():
        raise ValueError(f"point_labels are 1 (on the object) or 0 (off it), got {sorted(set(label.tolist()))}.")
    height, width = scale
    return [Click(x * width, y * height, bool(positive)) for (x, y), positive in zip(xy, label, strict=True)]


def common(played: Sequence[Click], points: Sequence[Click]) -> int:
    """How many clicks both begin with."""
    pairs = list(zip(played, points, strict=False))
    return next((number for number, (one, other) in enumerate(pairs) if one != other), len(pairs))


def to_logits(prob: Tensor) -> Tensor:
    """Probability -> logits within ±13.8."""
    return prob.float().clamp(LEAST, 1 - LEAST).logit()


def low_logits(prob: Tensor) -> NDArray[np.float32]:
    """Probability (1, 1, H, W) of the image -> logits (1, 256, 256) of its mean over each cell."""
    return to_logits(F.interpolate(prob, (LOW, LOW), mode="area"))[0].numpy(force=True)


def checked_mask_input(mask_input: ArrayLike) -> NDArray[np.float32]:
    """`mask_input` as an array.

    Raises:
        ValueError: it is not (1, h, w) of numbers.
    """
    logits = np.array(mask_input, np.float32)
    if logits.ndim != 3 or logits.shape[0] != 1 or not logits.size or not np.isfinite(logits).all():
        raise ValueError(
            f"mask_input is the low-resolution logits of an earlier call, (1, {LOW}, {LOW}), got {logits.shape} or values "
            "that are no numbers. Give logits[best][None]; a mask of the image's size goes to session(image).start_from(mask)."
        )
    return logits


def prob_from(logits: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Low-resolution logits (1, h, w) -> probability (H, W); exactly 0 where `low_logits` met nothing but zeros."""
    prob = torch.from_numpy(logits)[None].sigmoid()
    prob = torch.where(prob < 1.5 * LEAST, 0, prob)
    return F.interpolate(prob, size, mode="bilinear", align_corners=False)[0, 0].clamp(0, 1).numpy()
