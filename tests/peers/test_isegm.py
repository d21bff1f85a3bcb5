"""The isegm family: what its predictors say through the pipe is what the same rule says in this process."""

import sys
from dataclasses import replace

import pytest
import torch
from loop_parts import drawn
from peers.miniature import Reference, told, write_isegm

from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.evaluation import EvaluationProtocol, evaluate
from vfm_isrefiner.peers import PeerError, isegm_peer
from vfm_isrefiner.zoom import ZoomRule

RULE = EvaluationProtocol("quick", 0.49, ZoomRule((24, 24), min_crop=10), max_clicks=5)
ITEMS = [drawn(*size, seed) for seed, size in enumerate([(40, 48), (36, 36), (48, 40), (30, 44)])]


def checkout(folder, **settings):
    kind = {name: settings.pop(name) for name in ("transformer", "stub_torch") if name in settings}
    weights = write_isegm(folder, **kind)
    return isegm_peer(sys.executable, str(folder), str(weights), timeout=200, **settings)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    with checkout(tmp_path_factory.mktemp("theirs")) as peer:
        yield peer


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    with checkout(tmp_path_factory.mktemp("ours"), zoom="ours") as peer:
        yield peer


def test_with_its_own_zoom_and_flip_it_says_what_the_rule_says(theirs):
    rule = theirs.protocol(RULE)
    assert (rule.name, rule.zoom, rule.flip, rule.threshold) == ("quick, peer's own zoom", None, False, 0.49)
    found = evaluate(theirs, ITEMS, rule)
    wanted = evaluate(Reference(-0.25 + 0.5, True, own_flip=True), ITEMS, rule)
    assert [told(result) for result in found.results] == [told(result) for result in wanted.results]
    signs = {positive for result in found.results for _, _, positive in result.clicks}
    assert signs == {True, False}, "the case must need clicks of both signs"
    unflipped = evaluate(Reference(-0.25 + 0.5, True), ITEMS, rule)
    assert [told(result) for result in found.results] != [told(result) for result in unflipped.results]


@pytest.mark.parametrize("flip", [True, False])
def test_with_our_zoom_it_is_one_call_of_the_rule(ours, flip):
    rule = replace(RULE, flip=flip)
    assert ours.protocol(rule) == rule
    wanted = evaluate(Reference(-0.25, False), ITEMS, rule)
    for batch_size in (1, 3):
        found = evaluate(ours, ITEMS, rule, batch_size=batch_size)
        for one, other in zip(found.results, wanted.results, strict=True):
            assert one.clicks == other.clicks
            assert one.ious == pytest.approx(other.ious, abs=1e-9)


def stacked(items, lists):
    yx = torch.tensor([[place[:2] for place in clicks] for clicks in lists], dtype=torch.float32)
    label = torch.tensor([[place[2] for place in clicks] for clicks in lists], dtype=torch.int8)
    return torch.stack([item.image for item in items]), Clicks(yx, label)


def test_rows_do_not_depend_on_their_neighbours_nor_on_what_was_asked_before(theirs):
    items = [drawn(32, 32, seed) for seed in range(3)]
    lists = [[(4, 5, 1), (20, 9, 0)], [(16, 16, 1), (0, 0, -1)], [(8, 8, 0), (30, 30, 1)]]
    blank = torch.zeros(3, 1, 32, 32)
    images, clicks = stacked(items, lists)
    together = theirs.logits(theirs.encode(images)[0], None, clicks, blank)
    for row in (2, 0, 1):
        index = torch.tensor([row])
        alone = theirs.logits(theirs.encode(images[index])[0], None, clicks.rows(index), blank[index])
        assert torch.equal(alone, together[index])
    same = clicks.rows(torch.tensor([1, 1]))
    both = theirs.logits(theirs.encode(images[:2])[0], None, same, blank[:2])
    assert torch.equal(both[1:], together[1:2])
    assert not torch.equal(both[:1], both[1:])
    undone = theirs.logits(theirs.encode(images[1:2])[0], None, stacked(items[:1], [[(9, 9, 1)]])[1], blank[:1])
    again = theirs.logits(theirs.encode(images[1:2])[0], None, clicks.rows(torch.tensor([1])), blank[:1])
    assert torch.equal(again, together[1:2])
    assert not torch.equal(undone, again)


def test_rows_without_a_click_are_empty(theirs):
    images, clicks = stacked(ITEMS[:1], [[(0, 0, -1)]])
    assert not theirs.logits(theirs.encode(images)[0], None, clicks, torch.zeros(1, 1, 40, 48)).sigmoid().any()


def test_transformers_get_their_positions_resized(tmp_path):
    settings = {"flip": False, "zoom_in": {"target_size": [32, 48]}, "load": {"more": 0.5}, "predictor": {"infer_size": 1}}
    with checkout(tmp_path, transformer=True, bgr=True, **settings) as peer:
        rule = peer.protocol(RULE)
        assert rule.name == "quick, peer's own zoom, not flipped"
        found = evaluate(peer, ITEMS[:2], rule)
    swapped = [replace(item, image=item.image.flip(0)) for item in ITEMS[:2]]
    wanted = evaluate(Reference(-0.25 + 0.5 + 0.5 + 1, True), swapped, rule)
    assert [told(result) for result in found.results] == [told(result) for result in wanted.results]


def test_transformers_follow_crops_of_several_sizes(tmp_path):
    rule = replace(RULE, zoom=ZoomRule(24, skip_clicks=1, min_crop=10), max_clicks=3, flip=False)
    with checkout(tmp_path, transformer=True, zoom="ours") as peer:
        found = evaluate(peer, ITEMS[:2], rule)
    wanted = evaluate(Reference(-0.25, False), ITEMS[:2], rule)
    assert [result.clicks for result in found.results] == [result.clicks for result in wanted.results]


def test_focalclick_gets_pixels_inside_the_crop(tmp_path):
    with checkout(tmp_path, zoom="ours", mode="FocalClick") as peer:
        image = ITEMS[0].image[None] / 255
        clicks = Clicks(torch.tensor([[[3.4, -2.0], [99.0, 7.6]]]), torch.tensor([[1, 0]], dtype=torch.int8))
        moved = Clicks(torch.tensor([[[3.0, 0.0], [39.0, 8.0]]]), clicks.label)
        found = peer.logits(peer.encode(image)[0], None, clicks, torch.zeros(1, 1, 40, 48))
    assert torch.allclose(found, Reference(-0.25, False).logits(peer.encode(image)[0], None, moved, torch.zeros(1, 1, 40, 48)))


@pytest.mark.slow
def test_tensors_of_torch_itself(tmp_path):
    with checkout(tmp_path, zoom="ours", stub_torch=False) as peer:
        found = evaluate(peer, ITEMS[:1], RULE)
    assert found.results[0].clicks == evaluate(Reference(-0.25, False), ITEMS[:1], RULE).results[0].clicks


def test_an_argument_that_the_checkout_does_not_take(tmp_path):
    with pytest.raises(PeerError, match="get_predictor of this checkout takes no focus_crop_r; it takes net, brs_mode"):
        checkout(tmp_path, predictor={"focus_crop_r": 1.4}).protocol(RULE)
