"""The checks of the loop's reference vectors: they accept ties, and nothing else."""

from dataclasses import replace

import golden_loop
import numpy as np
import pytest
import torch
from golden_loop import StandIn, Transcript, agrees, differences, unexplained

from vfm_isrefiner.evaluation import EvaluationProtocol, trace
from vfm_isrefiner.instance import Instance
from vfm_isrefiner.metrics import iou
from vfm_isrefiner.rollout import rollout
from vfm_isrefiner.zoom import ZoomRule

RULE = EvaluationProtocol("tiny", 0.5, ZoomRule((48, 48), min_crop=20), max_clicks=4)


def two_squares():
    """Two equal squares: the first click is a tie."""
    mask = torch.zeros(1, 48, 64, dtype=torch.bool)
    mask[:, 10:21, 10:21] = mask[:, 10:21, 40:51] = True
    return Instance(torch.full((3, 48, 64), 90, dtype=torch.uint8), mask, torch.zeros_like(mask), "0", "tie")


def transcript(history, instance):
    clicks = history[-1].clicks
    rows = torch.cat([clicks.yx[0], clicks.label[0, :, None].float()], 1).int().numpy()
    ious = [iou(each.prob > RULE.threshold, instance.mask[None], instance.ignore[None]).item() for each in history]
    return Transcript(rows, np.array(ious), history[-1].prob[0, 0].numpy())


def played(instance, first):
    """As our own evaluation, but for the first click."""
    segmenter, rest = RULE.segmenter(StandIn()), golden_loop.next_click

    def click(interaction):
        if interaction.clicks.label.shape[1] == 0:
            return torch.tensor([first]), torch.tensor([1], dtype=torch.int8)
        return rest(interaction.prob > RULE.threshold, instance.mask[None], instance.ignore[None], interaction.clicks)

    return list(rollout(segmenter, segmenter.start(instance.image[None]), click, RULE.max_clicks))


def test_own_transcript_agrees():
    instance = two_squares()
    history = trace(StandIn(), instance, RULE)
    assert agrees(differences(history, instance, RULE, transcript(history, instance)))
    assert history[0].clicks.yx[0, 0].tolist() == [15, 15]


def test_a_tie_is_explained_and_anything_else_is_not():
    instance = two_squares()
    ours = trace(StandIn(), instance, RULE)
    tie = transcript(played(instance, [15.0, 45.0]), instance)  # the centre of the other square
    assert not agrees(differences(ours, instance, RULE, tie))
    assert unexplained(instance, RULE, tie) == ""
    beside = transcript(played(instance, [15.0, 44.0]), instance)
    assert unexplained(instance, RULE, beside) == "click 1 is neither a tie nor near the threshold"
    assert "IoU after click 2 differs" in unexplained(instance, RULE, replace(tie, ious=tie.ious + np.array([0, 0.2, 0, 0])))
    assert "last probability differs" in unexplained(instance, RULE, replace(tie, prob_last=tie.prob_last + 0.1))


def test_transcripts_need_their_inputs(tmp_path):
    instance = two_squares()
    history = trace(StandIn(), instance, replace(RULE, max_clicks=1))
    found = transcript(history, instance)
    np.savez(tmp_path / "hidden_transcript_paper.npz", **{f"0.{key}": value for key, value in vars(found).items()})
    with pytest.raises(FileNotFoundError, match=r"hidden_transcript_inputs\.npz must lie beside"):
        golden_loop.check_transcripts(tmp_path / "hidden_transcript_paper.npz")


def test_a_wrong_region_is_a_miss(tmp_path):
    mask = np.zeros((300, 400), bool)
    mask[100:120, 100:140] = True
    path = tmp_path / "zoom_roi.npz"
    common = {"0.mask": np.packbits(mask), "0.size": np.array([300, 400]), "0.clicks": np.zeros((0, 3), np.int32)}
    np.savez(path, **common, **{"0.roi": np.array([10, 210, 20, 220])})  # 109.5 -+ 100 and 119.5 -+ 100, halves to even
    assert golden_loop.check_zoom(path).passed
    np.savez(path, **common, **{"0.roi": np.array([10, 210, 20, 219])})
    row = golden_loop.check_zoom(path)
    assert not row.passed
    assert row.worst_error == 1
