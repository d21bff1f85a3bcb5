"""Scores over many instances: NoC, NoF, mean IoU per click, boundary IoU, seconds per click (protocol section 1.7)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vfm_isrefiner.evaluation.result import BOUNDARY_CLICKS, FULL_IMAGE, SKIPPED, InstanceResult
from vfm_isrefiner.metrics import mean_iou_per_click, noc, nof

THRESHOLDS = {"80": 0.80, "85": 0.85, "90": 0.90, "95": 0.95}


def summarise(results: Sequence[InstanceResult], max_clicks: int, target_iou: float | None) -> dict[str, Any]:
    """Plain values for JSON; None where a score is not defined, never NaN.

    Not defined are all scores of no instance, NoC and NoF beyond the IoU at which instances stopped, and the mean IoU of a
    click that some instance did not make.
    """
    done = [result for result in results if result.evaluated]
    ious = iou_table(done, max_clicks)
    reported = {name: done and (target_iou is None or at <= target_iou) for name, at in THRESHOLDS.items()}
    means = mean_iou_per_click(ious).tolist() if done else [float("nan")] * max_clicks
    return {
        "instances": len(done),
        "skipped": {status: sum(result.status == status for result in results) for status in SKIPPED},
        "full_image": sum(result.status == FULL_IMAGE for result in results),
        "noc": {
            name: noc(ious, at, max_clicks).double().mean().item() if reported[name] else None
            for name, at in THRESHOLDS.items()
        },
        "nof": {name: nof(ious, at, max_clicks) if reported[name] else None for name, at in THRESHOLDS.items()},
        "miou": {str(click): _number(mean) for click, mean in enumerate(means, 1)},
        "boundary_iou": _boundary(done, max_clicks),
        "seconds_per_click": _seconds(done),
    }


def iou_table(results: Sequence[InstanceResult], max_clicks: int) -> Tensor:
    """(n, max_clicks) float64 IoU after each click; NaN after the stop of an instance that stopped early."""
    rows = [[*result.ious, *[math.nan] * (max_clicks - len(result.ious))] for result in results]
    return torch.tensor(rows, dtype=torch.float64).reshape(-1, max_clicks)


def _boundary(done: Sequence[InstanceResult], max_clicks: int) -> dict[str, float | None]:
    means: dict[str, float | None] = {}
    for place, click in enumerate(at for at in BOUNDARY_CLICKS if at <= max_clicks):
        values = [result.boundary_ious[place] for result in done if len(result.boundary_ious) > place]
        means[str(click)] = sum(values) / len(values) if values and len(values) == len(done) else None
    return means


def _seconds(done: Sequence[InstanceResult]) -> dict[str, float | None]:
    clicks = sum(len(result.clicks) for result in done)
    if not clicks:
        return {"network": None, "rest": None, "total": None}
    network = sum(result.seconds_network for result in done) / clicks
    rest = sum(result.seconds_rest for result in done) / clicks
    return {"network": network, "rest": rest, "total": network + rest}


def _number(value: float) -> float | None:
    return None if value != value else value
