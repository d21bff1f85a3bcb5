"""The protocols by name, and their form as plain values."""

import json
from dataclasses import replace

import pytest
from loop_parts import Brightness

from vfm_isrefiner.evaluation import PROTOCOLS, EvaluationProtocol, protocol
from vfm_isrefiner.modulation import modulate_none
from vfm_isrefiner.rollout import Round, WholeImage
from vfm_isrefiner.zoom import ZoomIn, ZoomRule


def test_known_protocols_are_the_published_ones():
    assert set(PROTOCOLS) == {"paper", "simpleclick", "ritm", "close"}  # close is ours
    assert all(rule.flip and rule.max_clicks == 20 for rule in PROTOCOLS.values())
    common = {"expansion": 1.4, "min_crop": 200, "recompute_iou": 0.5, "prob_threshold": 0.5}
    paper, simpleclick, ritm = (protocol(name) for name in ("paper", "simpleclick", "ritm"))
    assert (paper.threshold, simpleclick.threshold, ritm.threshold) == (0.5, 0.49, 0.49)
    assert paper.zoom == ZoomRule((448, 448), skip_clicks=-1, keep_outside=True, **common)
    assert simpleclick.zoom == ZoomRule((448, 448), skip_clicks=-1, keep_outside=False, **common)
    assert ritm.zoom == ZoomRule(400, skip_clicks=1, keep_outside=False, **common)


def test_close_is_paper_but_for_the_smallest_crop():
    paper, close = protocol("paper"), protocol("close")
    assert replace(close, name="paper", zoom=replace(close.zoom, min_crop=200)) == paper
    assert close.zoom.min_crop == 48


def test_unknown_protocol_lists_the_known_ones():
    with pytest.raises(ValueError, match="no evaluation protocol 'focalclick'; choose one of paper, simpleclick, close, ritm"):
        protocol("focalclick")


@pytest.mark.parametrize("rule", [*PROTOCOLS.values(), EvaluationProtocol("whole", 0.5, None, flip=False, max_clicks=3)])
def test_settings_survive_json(rule):
    assert EvaluationProtocol.from_settings(json.loads(json.dumps(rule.settings()))) == rule


def test_segmenter_is_as_the_protocol_says():
    round = Round(Brightness(), modulate_none)
    assert isinstance(protocol("paper").segmenter(round), ZoomIn)
    whole = replace(protocol("paper"), zoom=None, flip=False).segmenter(round)
    assert isinstance(whole, WholeImage)
    assert protocol("paper").segmenter(round).round == replace(round, flip=True)


def test_resized_changes_the_input_size_only():
    small = protocol("paper").resized((128, 128))
    assert small.zoom == replace(protocol("paper").zoom, target=(128, 128))
    assert replace(small, zoom=protocol("paper").zoom) == protocol("paper")
    with pytest.raises(ValueError, match="has no input size to change"):
        replace(small, zoom=None).resized((64, 64))


@pytest.mark.parametrize("wrong", [{"threshold": 1.5}, {"threshold": 0.0}, {"max_clicks": 0}])
def test_settings_out_of_range(wrong):
    with pytest.raises(ValueError, match="0 < threshold < 1 and max_clicks >= 1"):
        EvaluationProtocol(**{"name": "wrong", "threshold": 0.5, "zoom": None} | wrong)
