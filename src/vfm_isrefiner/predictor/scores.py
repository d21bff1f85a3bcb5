"""How good is a mask? An estimate of its IoU from the probability alone, and its calibration on objects that are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

# less counts as zero: training by the focal loss leaves as much everywhere, which would add up to more than a small object
FAINT = np.float32(0.3)
STRIP = 64  # rows
Knots = Sequence[Sequence[float]]


def raw_score(prob: NDArray[np.float32], threshold: float) -> float:
    """Expected intersection over expected union of the mask {prob > threshold} and the object, pixels being independent.

    Of the object, the mask is expected to hold the sum of its probabilities; the union is the mask and, of each pixel
    outside of it, the probability. Probabilities under `FAINT` count as zero.

    Args:
        prob: (H, W) in [0, 1]. threshold: within (0, 1).

    Returns:
        In [0, 1]; 0 where the mask is empty.
    """
    within, seen, area = 0.0, 0.0, 0
    for first in range(0, len(prob), STRIP):  # strips stay in the processor's cache
        part = np.ravel(prob[first : first + STRIP])
        inside = part > np.float32(threshold)
        within += float(part @ inside.astype(np.float32))
        seen += float(part @ (part > FAINT).astype(np.float32))
        area += int(np.count_nonzero(inside))
    return within / (area + max(0.0, seen - within)) if area else 0.0


def calibrated(raw: float, knots: Knots) -> float:
    """The IoU that `knots` (raw, IoU) tell for `raw`: linear between them, constant beyond; `raw` where there are none."""
    if not knots:
        return raw
    x, y = np.asarray(knots, np.float64).T
    return float(np.interp(raw, x, y))


def checked_knots(knots: Knots) -> Knots:
    """`knots` again.

    Raises:
        ValueError: they are not pairs within [0, 1] whose first values rise and whose second never fall.
    """
    table = np.asarray(knots, np.float64) if len({len(knot) for knot in knots}) <= 1 else np.zeros(0)
    if len(knots) and (
        table.ndim != 2
        or table.shape[1] != 2
        or not ((table >= 0) & (table <= 1)).all()
        or (np.diff(table[:, 0]) <= 0).any()
        or (np.diff(table[:, 1]) < 0).any()
    ):
        raise ValueError(
            f"A score calibration is a list of [raw, IoU] in [0, 1], raw rising and IoU never falling, got {list(knots)!r}; "
            "make one with scores.fit_calibration."
        )
    return knots


def fit_calibration(raw: ArrayLike, iou: ArrayLike, knots: int = 16) -> list[list[float]]:
    """Isotonic regression of the IoU on the raw score, as the table of a network's `config["score_calibration"]`.

    The pairs are put into groups of equal size by their raw score, the mean IoUs of the groups are made rising by pooling
    neighbours that are not (pool adjacent violators), and each pool is a knot.

    Args:
        raw, iou: (N,) in [0, 1], of masks of known objects. knots: at most so many.

    Returns:
        [raw, IoU] of each knot, raw rising and IoU never falling.

    Raises:
        ValueError: the arrays differ in length, are empty or leave [0, 1], or no knot is asked for.
    """
    x, y = _pairs(raw, iou)
    if knots < 1:
        raise ValueError(f"A calibration needs at least 1 knot, got {knots}.")
    order = np.argsort(x, kind="stable")
    pools: list[tuple[float, float, int]] = []  # sums of raw and of IoU, count
    for group in np.array_split(order, min(knots, len(order))):
        pools.append((float(x[group].sum()), float(y[group].sum()), len(group)))
        while len(pools) > 1 and not _rises(pools[-2], pools[-1]):
            last, before = pools.pop(), pools.pop()
            pools.append((before[0] + last[0], before[1] + last[1], before[2] + last[2]))
    return [[total / count, good / count] for total, good, count in pools]


def calibration_error(score: ArrayLike, iou: ArrayLike, bins: int = 10) -> float:
    """Mean distance of score and IoU, over groups of equal size by score: 0 where a score of s means an IoU of s on average.

    Args:
        score, iou: (N,) in [0, 1].

    Raises:
        ValueError: the arrays differ in length, are empty or leave [0, 1].
    """
    x, y = _pairs(score, iou)
    groups = np.array_split(np.argsort(x, kind="stable"), min(bins, len(x)))
    return float(sum(abs(x[group].sum() - y[group].sum()) for group in groups) / len(x))


def _rises(before: tuple[float, float, int], last: tuple[float, float, int]) -> bool:
    return before[0] / before[2] < last[0] / last[2] and before[1] / before[2] <= last[1] / last[2]


def _pairs(raw: ArrayLike, iou: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(raw, np.float64), np.asarray(iou, np.float64)
    if x.ndim != 1 or x.shape != y.shape or not len(x):
        raise ValueError(f"Scores and IoUs of the same masks were expected, (N,) each, got shapes {x.shape} and {y.shape}.")
    if not all(((each >= 0) & (each <= 1)).all() for each in (x, y)):
        raise ValueError("Scores and IoUs lie within 0 and 1; leave masks without an IoU (NaN) out.")
    return x, y
