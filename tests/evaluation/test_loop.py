"""Evaluations with a network of three lines: neighbours, early stops, special instances, pictures' traces."""

from dataclasses import replace

import pytest
import torch
from loop_parts import Brightness, drawn

from vfm_isrefiner.evaluation import EvaluationProtocol, evaluate, protocol, trace
from vfm_isrefiner.instance import Instance
from vfm_isrefiner.metrics import iou
from vfm_isrefiner.modulation import modulate_isrefiner
from vfm_isrefiner.rollout import Round
from vfm_isrefiner.zoom import ZoomRule

ROUND = Round(Brightness(), modulate_isrefiner)
QUICK = EvaluationProtocol("quick", 0.5, ZoomRule((24, 24), min_crop=10), max_clicks=6)
SIZES = [(48, 64), (40, 40), (64, 48), (30, 70), (48, 64), (56, 56), (33, 47)]
ITEMS = [drawn(*size, seed, ignored=seed % 2 == 0) for seed, size in enumerate(SIZES)]


def told(result):
    return result.id, result.clicks, result.boundary_ious


@pytest.mark.parametrize("target_iou", [None, 0.75])
@pytest.mark.parametrize(
    "rule", [QUICK, replace(QUICK, zoom=None), replace(protocol("ritm").resized(24), max_clicks=6)], ids=lambda rule: rule.name
)
def test_neighbours_in_the_batch_change_nothing(rule, target_iou):
    alone = evaluate(ROUND, ITEMS, rule, batch_size=1, target_iou=target_iou)
    for batch_size in (2, 5):
        many = evaluate(ROUND, ITEMS, rule, batch_size=batch_size, target_iou=target_iou)
        assert [told(result) for result in many.results] == [told(result) for result in alone.results]
        for one, other in zip(alone.results, many.results, strict=True):
            assert one.ious == pytest.approx(other.ious, abs=1e-9)
    if target_iou is not None:
        lengths = {len(result.ious) for result in alone.results}
        assert len(lengths) > 1, "the case must have instances that stop at different clicks"
        for result in alone.results:
            assert all(value < target_iou for value in result.ious[:-1])
            assert len(result.ious) == 6 or result.ious[-1] >= target_iou


def test_scores_are_those_of_the_traced_rounds():
    result = evaluate(ROUND, ITEMS, QUICK, batch_size=3).results[2]
    history = trace(ROUND, ITEMS[2], QUICK)
    assert len(history) == 6
    mask, ignore = ITEMS[2].mask[None], ITEMS[2].ignore[None]
    assert result.ious == tuple(iou(each.prob > 0.5, mask, ignore).item() for each in history)
    rows = zip(history[-1].clicks.yx[0].tolist(), history[-1].clicks.label[0].tolist(), strict=True)
    assert result.clicks == tuple((y, x, label == 1) for (y, x), label in rows)
    assert history[-1].features is None


def test_results_describe_their_instances():
    instance = drawn(ignored=True)
    instance.mask[:, :2] = True  # in the ignored strip: does not count
    result = evaluate(ROUND, [instance], QUICK).results[0]
    inside = (instance.mask & ~instance.ignore)[0].nonzero()
    (top, left), (bottom, right) = inside.amin(0).tolist(), inside.amax(0).tolist()
    assert (result.id, result.image, result.source, result.category) == ("image0/1", "image0", "drawn", "box")
    assert result.area == len(inside)
    assert result.bbox == (top, left, bottom - top + 1, right - left + 1)
    assert result.status == "ok"
    assert len(result.ious) == len(result.clicks) == 6
    assert len(result.boundary_ious) == 2  # after clicks 1 and 5
    assert result.seconds_network > 0
    assert result.seconds_rest > 0


def special(mask, ignore, name):
    image = torch.full((3, 32, 32), 128, dtype=torch.uint8)
    full = torch.ones(1, 32, 32, dtype=torch.bool)
    return Instance(image, full & mask, full & ignore, name, "special")


SPECIAL = [
    special(False, False, "nothing"),
    special(True, True, "ignored"),
    special(torch.arange(32) < 4, torch.arange(32) < 8, "all of it ignored"),
    special(True, False, "whole"),
    special(True, torch.arange(32) < 8, "whole of what counts"),
]


def test_special_instances_are_counted():
    seen = []
    found = evaluate(ROUND, [*SPECIAL, ITEMS[0]], QUICK, batch_size=2, on_result=seen.append)
    assert [result.status for result in found.results] == [
        "empty",
        "all_ignored",
        "empty",
        "full_image",
        "full_image",
        "ok",
    ]
    assert [len(result.ious) for result in found.results] == [0, 0, 0, 6, 6, 6]
    assert sorted(seen, key=lambda result: result.index) == list(found.results)
    summary = found.summary()
    assert (summary["instances"], summary["full_image"]) == (3, 2)
    assert summary["skipped"] == {"empty": 2, "all_ignored": 1}
    assert all(0 <= value <= 1 for value in summary["miou"].values())


def test_nothing_to_click_on_gives_no_nan():
    summary = evaluate(ROUND, SPECIAL[:2], QUICK).summary()
    assert summary["instances"] == 0
    assert set(summary["noc"].values()) == {None}
    assert set(summary["miou"].values()) == {None}
    assert summary["seconds_per_click"] == {"network": None, "rest": None, "total": None}


def test_indices_choose_and_order():
    some = evaluate(ROUND, ITEMS, QUICK, batch_size=2, indices=[5, 1, 3])
    everything = evaluate(ROUND, ITEMS, QUICK)
    assert [result.index for result in some.results] == [5, 1, 3]
    assert [told(result) for result in some.results] == [told(everything.results[index]) for index in (5, 1, 3)]


def test_the_protocol_decides_on_the_flip():
    network = Brightness()
    evaluate(Round(network, modulate_isrefiner, flip=False), ITEMS[:1], replace(QUICK, flip=True, max_clicks=1))
    assert len(network.encoded) == 2
    network.encoded.clear()
    evaluate(Round(network, modulate_isrefiner, flip=True), ITEMS[:1], replace(QUICK, flip=False, max_clicks=1))
    assert len(network.encoded) == 1


def test_a_click_list_does_not_grow_with_the_instances_before():
    widths = []

    def modulation(prob, clicks):
        widths.append(clicks.label.shape[1])
        return prob

    items = [drawn(24, 24, seed) for seed in range(25)]
    evaluate(Round(Brightness(), modulation), items, replace(QUICK, max_clicks=8), batch_size=3, target_iou=0.7)
    assert max(widths) <= 2 * 8


def test_progress_is_shown(capsys):
    evaluate(ROUND, ITEMS[:2], QUICK, progress=True)
    assert "evaluate (quick)" in capsys.readouterr().out
    evaluate(ROUND, ITEMS[:2], QUICK)
    assert capsys.readouterr().out == ""


def test_an_instance_that_cannot_be_read_says_so():
    class Broken:
        def __len__(self):
            return 20

        def __getitem__(self, index):
            if index == 3:
                raise ValueError("image 3 is unreadable")
            return ITEMS[0]

    with pytest.raises(ValueError, match="image 3 is unreadable"):
        evaluate(ROUND, Broken(), QUICK, batch_size=2)


def test_errors():
    network = Brightness()
    network.training = True
    with pytest.raises(ValueError, match=r"call network\.eval\(\)"):
        evaluate(Round(network, modulate_isrefiner), ITEMS, QUICK)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        evaluate(ROUND, ITEMS, QUICK, batch_size=0)
    with pytest.raises(ValueError, match="cannot be clicked on: it is empty"):
        trace(ROUND, SPECIAL[0], QUICK)
