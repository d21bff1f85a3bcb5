"""What the benchmark of evaluation counts and shares out, with a network of three lines."""

from collections import Counter
from concurrent.futures import Future
from dataclasses import replace

import pytest
import torch
from loop_parts import Brightness, drawn

from vfm_isrefiner import zoom
from vfm_isrefiner.benchmark.eval_growth import PARTS, over_clicks, over_instances, shares
from vfm_isrefiner.benchmark.eval_speed import Cost, Counted, Job, alone, best, flops, whole
from vfm_isrefiner.benchmark.machine import Peaks
from vfm_isrefiner.benchmark.timing import Timing
from vfm_isrefiner.evaluation import EvaluationProtocol, protocol, running
from vfm_isrefiner.models.build import build_isrefiner
from vfm_isrefiner.modulation import modulate_isrefiner
from vfm_isrefiner.zoom import ZoomRule

RULE = EvaluationProtocol("quick", 0.5, ZoomRule((24, 24), min_crop=10), max_clicks=3)
ITEMS = [drawn(48, 64, seed) for seed in range(5)]
EMPTY = replace(ITEMS[0], mask=torch.zeros_like(ITEMS[0].mask))


def job(network=None, instances=ITEMS, rule=RULE, batch_size=2):
    return Job(network or Brightness(), modulate_isrefiner, instances, rule, batch_size)


@pytest.mark.parametrize(("flip", "images"), [(True, 2), (False, 1)])
def test_all_images_are_counted(flip, images):
    counted = Counted(Brightness())
    job(counted, rule=replace(RULE, flip=flip)).play()
    assert counted.played == 5 * 3 * images
    assert counted.encoded == sum(counted.network.encoded)
    assert counted.encoded >= 5 * images
    assert Cost(encode=2.0, play=10.0).of(counted) == 2 * counted.encoded + 10 * counted.played


def test_the_first_click_may_take_two_passes():
    counted = Counted(Brightness())
    replace(job(counted), first_click_passes=2).play()
    assert counted.played == 5 * (3 + 1) * 2


def test_the_network_alone_sees_the_shapes_of_the_evaluation():
    network = Brightness()
    found = alone(job(network), [1, 3], repeats=2)
    assert set(found) == {(part, size) for part in ("encode", "play") for size in (1, 3)}
    assert all(len(timing.seconds) == 2 for timing in found.values())
    # one warm-up and two repeats of each; the inputs of all are encoded once, three objects with their mirrored images
    assert Counter(network.encoded) == {6: 1 + 3, 2: 3}
    assert Counter(tuple(prev.shape) for prev, _ in network.passes) == {(6, 1, 24, 24): 3, (2, 1, 24, 24): 3}


def test_the_best_batch_size_is_that_of_the_least_median():
    found = {("play", 1): Timing((3.0, 3.0, 0.1)), ("play", 4): Timing((2.0, 2.0, 9.0)), ("encode", 1): Timing((1.0,))}
    assert best(found, "play") == (4, 2.0)
    assert best(found, "encode") == (1, 1.0)


def test_flops_are_those_of_the_two_calls():
    network = build_isrefiner(size="test", image_size=32)
    small, large = flops(network, (32, 32)), flops(network, (64, 64))
    assert 0 < small.encode < small.play
    assert large.encode > 3 * small.encode
    assert all(
        parameter.requires_grad == frozen for parameter, frozen in zip(network.parameters(), _wanted(network), strict=True)
    )


def _wanted(network):
    return [not name.startswith(("vit.", "fpn.")) for name, _ in network.named_parameters()]


def test_the_whole_names_what_it_compares():
    measures = whole(job(), [1, 2], 1, Cost(encode=1e6, play=3e6), Peaks(flops=1e9, bytes=1e9))
    ratio, clicks, share, *each = measures
    assert ratio.what == "evaluation ÷ network alone"
    assert str(ratio.target) == "≤ 1.25"
    assert ratio.value > 1, "a network of three lines takes the smaller part"
    assert "5 instances, 15 clicks" in ratio.note
    seconds = 15 / clicks.value
    assert clicks.target is None, "a target of GPUs"
    counted = Counted(Brightness())
    job(counted).play()
    assert share.value == pytest.approx(100 * (1e6 * counted.encoded + 3e6 * counted.played) / seconds / 1e9)
    assert [measure.what for measure in each] == [
        f"network alone, {what}, batch {size}" for what in ("a click", "a region") for size in (1, 2)
    ]


def test_shares_are_of_the_whole_and_leave_nothing_behind():
    before = zoom.crop, zoom.paste, running.next_click, running.Running.score, Future.result
    found = {measure.what: measure.value for measure in shares(job(), 4)}
    assert list(found) == [f"share of {part}" for part in (*PARTS, "everything else")]
    assert sum(found.values()) == pytest.approx(100)
    assert all(value > 0 for value in found.values())
    assert (zoom.crop, zoom.paste, running.next_click, running.Running.score, Future.result) == before


def test_growth_is_measured_where_there_are_instances():
    curve = over_instances(job(), [1, 3, 5, 6])
    assert [number for number, _ in curve] == [1, 3, 5]
    assert all(seconds > 0 for _, seconds in curve)
    network = Brightness()
    curve = over_clicks(job(network, [EMPTY, *ITEMS]), 4)
    assert [click for click, _ in curve] == [1, 2, 3, 4]
    assert [len(prev) for prev, _ in network.passes] == [4] * 4, "two instances that can be clicked on, and their mirrors"


def test_errors():
    with pytest.raises(ValueError, match="got no instance"):
        job(instances=[])
    for rule in (replace(RULE, zoom=None), protocol("ritm")):
        with pytest.raises(ValueError, match="images of several sizes"):
            job(rule=rule)
    for sizes in ([], [0, 2]):
        with pytest.raises(ValueError, match="batch_sizes must be one number or more"):
            alone(job(), sizes)
    with pytest.raises(ValueError, match="None of the instances can be clicked on"):
        over_clicks(job(instances=[EMPTY]), 2)
