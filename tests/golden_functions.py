"""Reference vectors of the parameter-free parts: click maps, modulation, the evaluation's clicker, NoC, the loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from golden_check import Case, Check, Row, bits, largest_difference, read_cases, row_within
from golden_weights import clicks_of_points

from vfm_isrefiner.click_maps import click_maps
from vfm_isrefiner.click_simulation import next_click
from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.losses import normalized_focal_loss
from vfm_isrefiner.metrics import noc, nof
from vfm_isrefiner.modulation import modulate_isrefiner, modulate_mfp


def _click_maps(path: Path) -> Row:
    errors = {}
    for name, case in read_cases(path, "points", "size", "maps").items():
        height, width = (int(length) for length in case["size"])
        got = click_maps(clicks_of_points(case["points"]), (height, width)).numpy()
        errors[name] = largest_difference(got, bits(case["maps"], *got.shape))
    return row_within(path, errors, 0)


def _modulation(path: Path) -> Row:
    errors = {}
    for name, case in read_cases(path, "prob", "points", "isrefiner", "mfp").items():
        prob, clicks = torch.from_numpy(case["prob"].astype(np.float32))[None, None], clicks_of_points(case["points"])
        kinds = {"isrefiner": modulate_isrefiner, "mfp": modulate_mfp}
        got = {kind: modulate(prob, clicks)[0, 0].numpy() for kind, modulate in kinds.items()}
        errors[name] = max(largest_difference(got[kind], case[kind]) for kind in kinds)
    return row_within(path, errors, 1e-5)


def _next_click(path: Path) -> Row:
    cases = read_cases(path, "gt", "preds", "clicks")
    return row_within(path, {name: _wrong_clicks(case) for name, case in cases.items()}, 0)


def _wrong_clicks(case: Case) -> float:
    """How many clicks differ; each is asked for after the expected ones before it."""
    truth, expected = torch.from_numpy(case["gt"])[None, None], torch.from_numpy(case["clicks"].astype(np.float32))
    preds = torch.from_numpy(bits(case["preds"], len(expected), *case["gt"].shape))
    clicks, wrong = Clicks.empty(1), 0.0
    for pred, (row, col, positive) in zip(preds, expected, strict=True):
        yx, label = next_click(pred[None, None], truth == 1, truth == -1, clicks)
        wrong += [*yx[0].tolist(), label.item()] != [row.item(), col.item(), positive.item()]
        clicks = clicks.append(torch.stack([row, col])[None], positive[None].to(torch.int8))
    return wrong


def _noc(path: Path) -> Row:
    errors = {}
    for name, case in read_cases(path, "ious", "thresholds", "noc", "noc_std", "over_max").items():
        ious = torch.from_numpy(case["ious"])
        for column, threshold in enumerate(case["thresholds"].tolist()):
            needed = noc(ious, threshold, ious.shape[1]).double().numpy()
            got = [needed.mean(), needed.std(), nof(ious, threshold, ious.shape[1])]
            wanted = [case[key][column] for key in ("noc", "noc_std", "over_max")]
            errors[f"{name} NoC@{threshold:g}".strip()] = largest_difference(got, wanted)
    return row_within(path, errors, 1e-6)


def _normalized_focal_loss(path: Path) -> Row:
    errors = {}
    for name, case in read_cases(path, "logits", "labels", "nfl").items():
        labels = torch.from_numpy(case["labels"])
        got = normalized_focal_loss(torch.from_numpy(case["logits"]), labels == 1, labels == -1)
        errors[name] = largest_difference(got.numpy(), case["nfl"], relative=True)
    return row_within(path, errors, 1e-5, "rel")


CHECKS = (
    Check("click maps", r"click_maps.*", _click_maps),
    Check("modulation", r"modulation.*", _modulation),
    Check("evaluation clicker", r"next_click.*", _next_click),
    Check("number of clicks", r"noc.*", _noc),
    Check("normalised focal loss", r"normalized_focal_loss.*", _normalized_focal_loss),
)
