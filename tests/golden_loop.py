"""Reference vectors of the loop: zoom_roi*, and transcript_* (twenty clicks of whole evaluations with a stand-in network)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from golden_check import Check, Row, bits, largest_difference, read_cases, row_within
from torch import Tensor

from vfm_isrefiner.click_simulation import next_click
from vfm_isrefiner.clicks import NEGATIVE, POSITIVE, Clicks
from vfm_isrefiner.distance import squared_distance
from vfm_isrefiner.evaluation import EvaluationProtocol, protocol, trace
from vfm_isrefiner.instance import Instance
from vfm_isrefiner.interaction import ImageFeatures, Interaction
from vfm_isrefiner.metrics import iou
from vfm_isrefiner.rollout import rollout
from vfm_isrefiner.zoom import ZoomRule, object_roi

IOU_TOLERANCE, PROB_TOLERANCE, NEAR = 1e-4, 2e-3, 1e-5


@dataclass(frozen=True)
class StandIn:
    """The analytic network of the transcripts, in the place of a `Round`: it takes clicks, not click maps.

    logits = 7 bump(positive, 45) - 7 bump(negative, 30) + 3 prev_prob + 4 (gray - 0.5) - 2.5
    """

    flip: bool = False

    def encode(self, image: Tensor) -> tuple[ImageFeatures, ImageFeatures | None]:
        return ImageFeatures(image), ImageFeatures(image.flip(-1)) if self.flip else None

    def logits(self, features: ImageFeatures, flipped: ImageFeatures | None, clicks: Clicks, prev_prob: Tensor) -> Tensor:
        logits = self._once(features.image, clicks, prev_prob)
        if flipped is None:
            return logits
        mirrored = self._once(flipped.image, clicks.flipped(prev_prob.shape[-1]), prev_prob.flip(-1))
        return 0.5 * (logits + mirrored.flip(-1))

    @staticmethod
    def _once(image: Tensor, clicks: Clicks, prev_prob: Tensor) -> Tensor:
        positive, negative = _bump(clicks, POSITIVE, 45, image), _bump(clicks, NEGATIVE, 30, image)
        return 7 * positive - 7 * negative + 3 * prev_prob + 4 * (image.mean(1, keepdim=True) - 0.5) - 2.5


def _bump(clicks: Clicks, label: int, sigma: float, image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    other = torch.where(clicks.label == label, 0.0, torch.inf)  # keeps clicks of the other sign infinitely far
    dy2 = (torch.arange(height)[:, None] - clicks.yx[..., 0, None, None]) ** 2 + other[..., None, None]
    dx2 = (torch.arange(width)[None, :] - clicks.yx[..., 1, None, None]) ** 2
    return torch.exp(-(dy2 + dx2).amin(1, keepdim=True) / (2 * sigma**2))


@dataclass(frozen=True)
class Transcript:
    """What the reference did: clicks (20, 3) rows (y, x, is positive), ious (20,), prob_last (H, W)."""

    clicks: np.ndarray
    ious: np.ndarray
    prob_last: np.ndarray


def differences(history: list[Interaction], instance: Instance, rule: EvaluationProtocol, expected: Transcript) -> list[float]:
    """Clicks that differ, largest IoU error, largest error of the last probability."""
    clicks = history[-1].clicks
    got = torch.cat([clicks.yx[0], clicks.label[0, :, None] == POSITIVE], 1).numpy()
    ious = [_iou(interaction.prob > rule.threshold, instance) for interaction in history]
    last = history[-1].prob[0, 0].numpy() - expected.prob_last.astype(np.float32)
    return [int((got != expected.clicks).any(1).sum()), np.abs(ious - expected.ious).max(), np.abs(last).max()]


def agrees(found: list[float]) -> bool:
    return found[0] == 0 and found[1] <= IOU_TOLERANCE and found[2] <= PROB_TOLERANCE


def unexplained(instance: Instance, rule: EvaluationProtocol, expected: Transcript) -> str:
    """Play the reference's clicks. "" if each of them that is not ours was a tie or hung on a probability nearer than 1e-5
    to the threshold, and all else agrees; otherwise what does not."""
    segmenter, mask, ignore = rule.segmenter(StandIn()), instance.mask[None], instance.ignore[None]
    clicks = torch.from_numpy(expected.clicks).float()
    begin = segmenter.start(instance.image[None])

    def theirs(interaction: Interaction) -> tuple[Tensor, Tensor]:
        click = clicks[interaction.clicks.label.shape[1]]
        return click[None, :2], click[None, 2].to(torch.int8)

    before = begin
    for number, after in enumerate(rollout(segmenter, begin, theirs, len(clicks)), 1):
        if not _may_be_next(before, mask, ignore, rule.threshold, clicks[number - 1]):
            return f"click {number} is neither a tie nor near the threshold"
        hanging = ((after.prob - rule.threshold).abs() < NEAR).sum().item()
        allowed = IOU_TOLERANCE + hanging / max(1, int(instance.mask.sum()))
        if abs(_iou(after.prob > rule.threshold, instance) - expected.ious[number - 1]) > allowed:
            return f"IoU after click {number} differs with the same clicks"
        before = after
    error = np.abs(before.prob[0, 0].numpy() - expected.prob_last.astype(np.float32)).max()
    return "" if error <= PROB_TOLERANCE else f"the last probability differs by {error:.1e} with the same clicks"


def _may_be_next(before: Interaction, mask: Tensor, ignore: Tensor, threshold: float, click: Tensor) -> bool:
    """Could `click` (y, x, positive) be next, were ties and probabilities nearer than 1e-5 decided otherwise?"""
    for level in (threshold, threshold + NEAR, threshold - NEAR):
        pred = before.prob > level
        yx, label = next_click(pred, mask, ignore, before.clicks)
        if torch.equal(torch.cat([yx[0], (label == POSITIVE).float()]), click):
            return True
        depth = {sign: _depth(region & ~ignore, before.clicks) for sign, region in ((1, mask & ~pred), (0, pred & ~mask))}
        chosen = depth[int(click[2])]
        deepest = max(float(each.max()) for each in depth.values())
        if deepest > 0 and abs(float(chosen[int(click[0]), int(click[1])]) - deepest) < NEAR:
            return True
    return False


def _depth(region: Tensor, clicks: Clicks) -> Tensor:
    depth = squared_distance(region[:, 0])[0].float().sqrt()
    y, x = clicks.yx[0].long().unbind(1)
    depth[y, x] = 0
    return depth


def _iou(pred: Tensor, instance: Instance) -> float:
    return iou(pred, instance.mask[None], instance.ignore[None]).item()


def instance_of(image: np.ndarray, gt: np.ndarray, case: str = "0") -> Instance:
    mask = torch.from_numpy(gt)[None]
    return Instance(torch.from_numpy(image).permute(2, 0, 1).contiguous(), mask == 1, mask == -1, case, "transcript")


def inputs_of(path: Path) -> Path:
    """`transcript_inputs` beside a protocol's file, with the same prefix; else without."""
    prefix = path.stem.partition("transcript_")[0]
    same, plain = path.with_name(f"{prefix}transcript_inputs.npz"), path.with_name("transcript_inputs.npz")
    if not same.is_file() and not plain.is_file():
        raise FileNotFoundError(f"{same.name} must lie beside {path.name}: it holds the images and masks.")
    return same if same.is_file() else plain


def check_transcripts(path: Path) -> Row:
    """Clicks, IoUs and the last probability of every case of one protocol."""
    rule = protocol(path.stem.rpartition("_")[2])
    cases, inputs = read_cases(path, "clicks", "ious", "prob_last"), read_cases(inputs_of(path), "image", "gt")
    worst, departed, failed = np.zeros(3), [], []
    with torch.no_grad():
        for case, values in cases.items():
            instance = instance_of(inputs[case]["image"], inputs[case]["gt"], case)
            expected = Transcript(values["clicks"], values["ious"], values["prob_last"])
            found = differences(trace(StandIn(), instance, rule), instance, rule, expected)
            if agrees(found):
                worst = np.maximum(worst, found)
                continue
            reason = unexplained(instance, rule, expected)
            (failed if reason else departed).append(f"case {case}: {reason or 'departs at a tie or a threshold'}")
    passed = not failed and 8 * len(departed) <= len(cases)
    note = "; ".join([f"clicks exact, IoU {worst[1]:.0e}, probability {worst[2]:.0e}", *failed, *departed])
    error = float("inf") if failed else float(worst[2])
    return Row(path.name, len(cases), error, f"{PROB_TOLERANCE:.0e} (IoU {IOU_TOLERANCE:.0e})", passed, note)


def check_inputs(path: Path) -> Row:
    """The inputs themselves prove nothing; some protocol's file must lie beside them."""
    prefix = path.stem.partition("transcript_")[0]
    users = [name for name in ("paper", "simpleclick", "ritm") if path.with_name(f"{prefix}transcript_{name}.npz").is_file()]
    note = f"inputs of {', '.join(users) or 'no transcript beside it'}"
    return Row(path.name, len(read_cases(path, "image", "gt")), 0.0, "-", bool(users), note)


def check_zoom(path: Path) -> Row:
    """The region of each mask and its clicks."""
    errors = {}
    for case, values in read_cases(path, "mask", "size", "clicks", "roi").items():
        height, width = values["size"].tolist()
        mask = torch.from_numpy(bits(values["mask"], 1, 1, height, width))
        rows = torch.from_numpy(values["clicks"]).reshape(1, -1, 3)
        clicks = Clicks(rows[..., :2].float(), rows[..., 2].to(torch.int8))
        roi, _ = object_roi(mask, clicks, torch.tensor([[height, width]]), ZoomRule())
        errors[case] = largest_difference(roi[0].numpy(), values["roi"])
    return row_within(path, errors, 0.0)


CHECKS = (
    Check("zoom_roi", r"zoom_roi.*", check_zoom),
    Check("transcript inputs", r"transcript_inputs", check_inputs),
    Check("transcripts", r"transcript_(paper|simpleclick|ritm)", check_transcripts),
)
