"""Sessions: undo and redo to the bit, the next object, editing, and several of them at once."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from loop_parts import Brightness, drawn

from vfm_isrefiner.predictor import Click, Predictor
from vfm_isrefiner.zoom import ZoomRule

CLICKS = [Click(30, 20), Click(40.5, 30), Click(8, 40, False), Click(33, 18), Click(50, 44, False)]
RULE = ZoomRule((64, 64), min_crop=16)


def equal(one, other):
    return (
        np.array_equal(one.prob, other.prob)
        and np.array_equal(one.mask, other.mask)
        and one.clicks == other.clicks
        and one.score == other.score
    )


def test_a_prediction_is_mask_probability_score_and_clicks(predictor, image):
    session = predictor.session(image)
    assert session.size == (48, 64)
    nothing = session.prediction
    assert not nothing.mask.any()
    assert nothing.score == 0
    assert nothing.clicks == ()
    found = session.click(30, 20)
    assert found.mask.shape == found.prob.shape == (48, 64)
    assert found.mask.dtype == bool
    assert found.prob.dtype == np.float32
    assert found.mask[20, 30]
    assert np.array_equal(found.mask, found.prob > 0.5)
    assert 0 < found.score <= 1
    assert found.clicks == session.clicks == (Click(30, 20),)
    assert equal(session.prediction, found)
    with pytest.raises(ValueError, match="read-only"):
        found.prob[0, 0] = 1


def test_undo_and_redo_are_exact(tiny, image):
    session = Predictor(tiny, zoom=RULE).session(image)
    shown = [session.prediction] + [session.click(c.x, c.y, c.positive) for c in CLICKS]
    assert all(not equal(one, other) for one, other in pairwise(shown))
    for number in reversed(range(5)):
        assert session.can_undo
        assert equal(session.undo(), shown[number])
    assert not session.can_undo
    for number in range(1, 6):
        assert session.can_redo
        assert equal(session.redo(), shown[number])
    assert not session.can_redo
    assert equal(session.keep(2), shown[2])
    assert equal(session.redo(), shown[3])
    assert equal(session.keep(9), shown[3])


def test_a_click_after_undo_is_as_if_nothing_had_been_undone(tiny, image):
    session, other = (Predictor(tiny, zoom=RULE, cache_bytes=size).session(image) for size in (2**24, 0))
    session.play(CLICKS[:4])
    session.undo()
    session.undo()
    again = session.play(CLICKS[4:])
    assert not session.can_redo
    assert equal(again, other.play([*CLICKS[:2], *CLICKS[4:]]))
    with pytest.raises(ValueError, match="no click to redo"):
        session.redo()


def test_several_clicks_are_one_round_each(tiny, image):
    together, apart = (Predictor(tiny, zoom=RULE).session(image) for _ in range(2))
    for click in CLICKS:
        last = apart.click(click.x, click.y, click.positive)
    assert equal(together.play(CLICKS), last)


def test_the_history_keeps_what_a_click_changed(tiny, image):
    large = np.tile(image, (4, 4, 1))
    session = Predictor(tiny, zoom=RULE).session(large)
    disk = np.hypot(*np.ogrid[-100:92, -100:156]) < 9
    session.start_from(disk)
    for number in range(4):
        session.click(100 + number, 101, number % 2 == 0)
    changes, whole = session._history.changes, session._history.now.prob.numel()
    assert 0 < max(change.prob.numel() for change in changes) < whole / 4
    assert all(change.prob.untyped_storage().nbytes() == change.prob.nbytes for change in changes)
    assert session._history.base.features is None


def test_undo_finds_the_features_of_the_crop_again(network, predictor, image):
    session = predictor.session(image)
    session.play(CLICKS)
    encoded = len(network.encoded)
    session.keep(1)
    session.play(CLICKS[1:])
    assert len(network.encoded) == encoded


def test_the_image_is_encoded_once_for_all_objects_and_sessions(network, predictor, image):
    session = predictor.session(image)
    assert network.encoded == [1]
    first = session.click(30, 20)
    assert equal(session.accept(), first)
    assert session.clicks == ()
    assert not session.can_undo
    second = session.click(30, 20)
    assert equal(first, second)
    other = predictor.session(image.copy())
    other.click(30, 20)
    assert network.encoded == [1]
    predictor.session(255 - image)
    assert network.encoded == [1, 1]


def test_accept_needs_an_object(predictor, image):
    session = predictor.session(image)
    with pytest.raises(ValueError, match="nothing to accept"):
        session.accept()


def test_editing_starts_from_a_mask(network, predictor, image):
    session = predictor.session(image)
    session.click(3, 3)
    mask = np.zeros((48, 64), bool)
    mask[10:30, 20:40] = True
    shown = session.start_from(mask)
    assert np.array_equal(shown.mask, mask)
    assert shown.clicks == ()
    network.passes.clear()
    edited = session.click(39, 12, False)
    assert network.passes[0][0].max() == 1  # it sees the mask as previous probability
    assert not edited.mask[12, 39]
    assert np.array_equal(session.undo().mask, mask)
    with pytest.raises(ValueError, match="no click to undo"):
        session.undo()
    assert np.array_equal(session.accept().mask, mask)
    assert not session.prediction.mask.any()
    session.start_from(mask.astype(np.float32) * 0.6)
    assert session.prediction.prob.max() == np.float32(0.6)
    assert not session.reset().mask.any()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((64, 48), bool), r"as large as the image, \(48, 64\), got \(64, 48\)"),
        (np.full((48, 64), 255, np.uint8), "within 0 and 1"),
        (np.full((48, 64), np.nan), "within 0 and 1"),
        (np.zeros((48, 64), bool), "is empty"),
    ],
)
def test_masks_that_no_object_starts_from(predictor, image, mask, message):
    session = predictor.session(image)
    before = session.click(30, 20)
    with pytest.raises(ValueError, match=message):
        session.start_from(mask)
    assert equal(session.prediction, before)


@pytest.mark.parametrize("at", [(-0.6, 3), (63.5, 3), (3, 47.5), (3, -1)])
def test_clicks_outside_are_refused_and_change_nothing(predictor, image, at):
    session = predictor.session(image)
    before = session.click(30, 20)
    with pytest.raises(ValueError, match="lies outside of the image, 64 pixels wide and 48 high"):
        session.play([Click(40, 30), Click(*at)])
    assert equal(session.prediction, before)


@pytest.mark.parametrize("at", [(-0.5, -0.5), (63.4, 47.4)])
def test_clicks_on_the_border_are_inside(predictor, image, at):
    assert predictor.session(image).click(*at).clicks == (Click(*at),)


def test_sessions_of_several_threads_are_as_if_alone(tiny):
    images = [np.ascontiguousarray(drawn(48, 64, seed).image.permute(1, 2, 0).numpy()) for seed in range(3)]
    alone = [[Predictor(tiny, zoom=RULE).session(image).play(CLICKS[: 1 + n]) for n in range(5)] for image in images]
    shared = Predictor(tiny, zoom=RULE, cache_bytes=300_000)  # room for a few crops only

    def work(number):
        session = shared.session(images[number % 3])
        got = [session.click(click.x, click.y, click.positive) for click in CLICKS]
        return [np.allclose(one.prob, other.prob, atol=1e-6) for one, other in zip(got, alone[number % 3], strict=True)]

    with ThreadPoolExecutor(6) as pool:
        assert all(map(all, pool.map(work, range(6))))
    assert shared.cache.bytes <= 300_000


def test_the_network_serves_one_caller_at_a_time(image):
    inside = []

    class Alone(Brightness):
        def __call__(self, *arguments):
            inside.append(1)
            assert len(inside) == 1
            time.sleep(0.002)
            inside.pop()
            return super().__call__(*arguments)

    predictor = Predictor(Alone(), zoom=RULE)
    sessions = [predictor.session(image) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda session: session.play(CLICKS), sessions))


def test_threads_on_one_session_lose_no_click(predictor, image):
    session = predictor.session(image)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda x: session.click(x, 20), range(24)))
    assert sorted(click.x for click in session.clicks) == list(range(24))
