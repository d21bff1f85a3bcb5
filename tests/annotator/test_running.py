"""One person's object: windows that follow the clicks, editing, what is left on the disk."""

import numpy as np
import pytest
from annotator.colour_network import colour_predictor
from annotator.squares import middle, write_squares
from batch_scenes import predictor, truth

from vfm_isrefiner.annotator.following import CUT, GREW, MOVED
from vfm_isrefiner.annotator.refusal import Refusal
from vfm_isrefiner.annotator.running import MOST_CLICKS, Running
from vfm_isrefiner.annotator.said import Said
from vfm_isrefiner.annotator.scene import AnnotatedScene
from vfm_isrefiner.batch.windows import WindowRule

SMALL = WindowRule(32, 128)


@pytest.fixture
def ann(scene, network):
    return Running("key", scene, predictor(network), "Ada", SMALL)


def sides(state):
    left, top, right, bottom = state["window"]
    return right - left, bottom - top


def test_an_object_that_reaches_the_border_makes_the_window_grow(ann):
    ann.click(8, 60, True)
    state = ann.state()
    assert sides(state) == (96, 64)  # the whole scene is smaller than 128
    assert state["note"] == GREW
    assert state["area_px"] == truth(200).sum()


def test_an_object_larger_than_the_largest_window_is_cut(scene, network):
    ann = Running("key", scene, predictor(network), "", WindowRule(32, 40))
    ann.click(8, 60, True)
    state = ann.state()
    assert state["note"] == CUT
    assert max(sides(state)) == 40
    assert 0 < state["area_px"] < truth(200).sum()


def test_a_click_outside_moves_the_window_and_keeps_the_mask(ann):
    ann.click(8, 6, True)
    first = ann.state()
    assert first["note"] is None
    ann.click(72, 45, True)
    state = ann.state()
    assert state["note"] == MOVED
    assert state["area_px"] == truth(60).sum() + truth(150).sum()
    ann.undo()
    assert ann.state()["polygon"] == first["polygon"]
    ann.redo()
    assert ann.state()["polygon"] == state["polygon"]


def test_a_click_too_far_changes_nothing(scene, network):
    ann = Running("key", scene, predictor(network), "", WindowRule(32, 64))
    ann.click(8, 6, True)
    before, kept = ann.state(), scene.store.running()
    with pytest.raises(Refusal, match="lies too far from the rest of the object: together they take 85 pixels"):
        ann.click(90, 45, True)
    assert ann.state() == before
    assert scene.store.running() == kept


def test_clicks_at_every_border_of_the_scene(ann):
    for x, y in ((-0.5, -0.5), (95.49, -0.5), (-0.5, 63.49), (95.49, 63.49)):
        ann.click(x, y, False)
    assert len(ann.state()["clicks"]) == 4


def test_a_click_on_the_window_costs_one_round(ann, network):
    ann.click(8, 6, True)
    before = network.passes
    ann.click(10, 8, True)
    assert network.passes == before + 1
    ann.undo()
    ann.redo()
    ann.state()
    assert network.passes == before + 1
    encoded = len(network.encoded)
    ann.reset()
    ann.click(9, 7, True)  # the same window again
    assert len(network.encoded) == encoded


def test_it_goes_on_from_the_disk_as_it_was(scene, network, ann):
    for x, y, positive in ((8, 6, True), (72, 45, True), (72, 46, False)):
        ann.click(x, y, positive)
    ann.undo()
    state, row = ann.state(), scene.store.running()["key"]
    assert row["author"] == "Ada"
    again = Running("key", scene, predictor(network), "Ada", SMALL, Said.of_row(row, scene.store.get))
    assert again.state() | {"note": None} == state | {"note": None}
    again.redo()
    ann.redo()
    assert again.state()["polygon"] == ann.state()["polygon"]


def test_cooling_changes_nothing(ann):
    ann.click(8, 6, True)
    ann.click(72, 45, True)
    before = ann.state()
    assert ann.pixels == 96 * 64
    ann.cool()
    assert ann.pixels == 0
    assert ann.state() == before
    ann.undo()
    assert ann.state()["area_px"] == truth(60).sum()


def test_nothing_is_left_of_what_is_done(scene, ann):
    ann.click(8, 6, True)
    assert list(scene.store.running()) == ["key"]
    ann.accept("roof")
    assert scene.store.running() == {}
    ann.click(34, 10, True)
    ann.reset()
    assert scene.store.running() == {}


def test_editing_keeps_the_clicks_that_made_it(scene, ann):
    ann.click(8, 6, True)
    one = ann.accept("roof")
    ann.edit(one.id, one.version)
    assert ann.state()["score"] == one.score
    ann.click(13, 11, True)  # the hole's grey is the background's
    ann.undo()
    ann.click(34, 10, True)
    two = ann.accept("roof")
    assert two.clicks == ((8, 6, True), (34, 10, True))
    assert two.created == one.created
    assert two.area_px == truth(100).sum()  # the network of these tests sees clicks alone


def test_an_object_that_was_changed_is_not_edited_after_a_restart(scene, network, ann):
    ann.click(8, 6, True)
    one = ann.accept("roof")
    ann.edit(one.id, one.version)
    row = scene.store.running()["key"]
    assert Said.of_row(row, scene.store.get).editing == one
    scene.store.relabel(one.id, one.version, "car")
    with pytest.raises(LookupError):
        Said.of_row(row, scene.store.get)


def test_an_object_larger_than_a_window_is_not_edited(scene, network, ann):
    ann.click(8, 60, True)
    one = ann.accept("roof")
    small = Running("other", scene, predictor(network), "", WindowRule(32, 64))
    with pytest.raises(Refusal, match="larger than the largest window"):
        small.edit(one.id, one.version)


def test_clicks_are_bounded(ann, monkeypatch):
    monkeypatch.setattr("vfm_isrefiner.annotator.running.MOST_CLICKS", 3)
    for _ in range(3):
        ann.click(8, 6, True)
    with pytest.raises(Refusal, match="has 3 clicks"):
        ann.click(8, 6, True)
    assert MOST_CLICKS > 100


def test_windows_of_a_large_scene_stay_small(tmp_path):
    scene = AnnotatedScene("0", write_squares(tmp_path / "s.tif", 1024), tmp_path / "s.gpkg", tmp_path)
    try:
        ann = Running("key", scene, colour_predictor(), "", WindowRule(64, 512))
        rng = np.random.default_rng(0)
        for number in rng.integers(0, 64**2, 20).tolist():
            ann.click(*middle(number, 1024), True)
            state = ann.state()
            assert state["area_px"] == 36  # the square, without its blurred rim
            assert sides(state) == (64, 64)
            assert ann.accept("square").area_px == 36
        assert len(scene.store.objects()) == 20
    finally:
        scene.close()


def test_what_undo_needs_counts_as_memory(ann, network, monkeypatch):
    grey, levels = network.__class__.__call__, iter(range(1, 100))
    monkeypatch.setattr(network.__class__, "__call__", lambda self, *given: grey(self, *given) + 0.01 * next(levels))
    ann.click(8, 6, True)
    window = ann.pixels
    for x in range(9, 19):
        ann.click(x, 6, True)
    assert ann.held >= 2 * window  # each click has changed all of it, at 4 bytes a pixel of the 20 that a window takes
    ann.undo()
    assert ann.held >= 2 * window
    ann.reset()
    ann.click(34, 10, True)
    assert ann.held <= 1.5 * ann.pixels
