"""Gathered calls: the results of the calls alone, forwards that are really shared, and what happens when something fails."""

import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from loop_parts import Brightness, drawn

from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.interaction import ImageFeatures
from vfm_isrefiner.models.build import build_isrefiner
from vfm_isrefiner.modulation import modulate_none
from vfm_isrefiner.predictor import Click, NetworkBusy, Predictor
from vfm_isrefiner.predictor.gathering import GatheredRound
from vfm_isrefiner.rollout import Round
from vfm_isrefiner.zoom import ZoomRule

RULE = ZoomRule((64, 64), min_crop=16)
CLICKS = [Click(30, 20), Click(40.5, 30), Click(8, 40, False), Click(33, 18)]
PATIENCE = 30  # seconds before a test that hangs fails


class Gated(Brightness):
    """Brightness whose calls note their rows and wait at a gate; fails where the image's first pixel is above 1."""

    def __init__(self):
        super().__init__()
        self.rows, self.threads, self.gate, self.inside = [], set(), threading.Event(), threading.Event()

    def encode_image(self, image):
        self._enter(len(image))
        return super().encode_image(image)

    def __call__(self, features, *maps):
        self._enter(len(features.image))
        if (features.image[:, 0, 0, 0] > 1).any():
            raise ArithmeticError("too bright")
        return super().__call__(features, *maps)

    def _enter(self, rows):
        self.rows.append(rows)
        self.threads.add(threading.get_ident())
        self.inside.set()
        assert self.gate.wait(PATIENCE)


class Callers:
    """Calls of `logits` from threads of their own, which come in a known order."""

    def __init__(self, gathered):
        self.gathered, self.pool, self.answers = gathered, ThreadPoolExecutor(16), []

    def call(self, image, clicks=1):
        """One more, which waits (or is being played) when this returns."""
        before, busy = self.gathered.queued, self.gathered.round.network.inside.is_set()
        features = ImageFeatures(image, patches=image.flatten(2).transpose(1, 2))
        yx = torch.arange(2.0 * clicks).view(1, clicks, 2).expand(len(image), -1, -1)
        given = (features, None, Clicks(yx, torch.ones(yx.shape[:2], dtype=torch.int8)), torch.zeros_like(image[:, :1]))
        self.answers.append(self.pool.submit(self.gathered.logits, *given))
        if busy:
            until(lambda: self.gathered.queued == before + 1 or self.answers[-1].done())
        assert self.gathered.round.network.inside.wait(PATIENCE)
        return given

    def open(self):
        self.gathered.round.network.gate.set()
        return [answer.exception(PATIENCE) or answer.result() for answer in self.answers]


def until(true):
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it hangs"
        time.sleep(0.001)


@pytest.fixture
def callers():
    gathered = GatheredRound(Round(Gated(), modulate_none), most=4, waiting=9)
    made = Callers(gathered)
    yield made
    made.open()
    made.pool.shutdown()
    gathered.close()


def plane(value=0.5, height=8, width=12, rows=1):
    return torch.full((rows, 3, height, width), value)


def sizes(callers):
    return callers.gathered.round.network.rows


def test_what_comes_meanwhile_goes_together_and_gets_what_it_would_alone(callers):
    given = [callers.call(plane(0.1 * number), clicks=1 + number % 3) for number in range(8)]
    answers = callers.open()
    assert sizes(callers) == [1, 4, 3]  # the first came alone and did not wait
    assert len(callers.gathered.round.network.threads) == 1
    plain = Round(Brightness(), modulate_none)
    for answer, one in zip(answers, given, strict=True):
        torch.testing.assert_close(answer, plain.logits(*one), atol=1e-6, rtol=0)


def test_only_calls_of_one_size_type_and_kind_go_together(callers):
    callers.call(plane())
    callers.call(plane(height=16))
    callers.call(plane())
    encoded = callers.pool.submit(callers.gathered.encode, plane())
    until(lambda: callers.gathered.queued == 3)
    callers.call(plane(height=16))
    callers.call(plane().double())
    answers = callers.open()
    assert encoded.result(PATIENCE)[0].image.shape == plane().shape
    assert sizes(callers) == [1, 2, 1, 1, 1]
    assert [tuple(one.shape[-2:]) for one in answers] == [(8, 12), (16, 12), (8, 12), (16, 12), (8, 12)]


def test_who_waits_longest_is_in_the_next_forward(callers):
    callers.call(plane())
    callers.call(plane(height=16))
    for _ in range(5):
        callers.call(plane())
    callers.call(plane(height=16))
    callers.open()
    assert sizes(callers) == [1, 2, 4, 1]  # the odd one first, though the others would have filled a batch


def test_calls_of_several_rows_are_counted_and_split(callers):
    callers.call(plane())
    for rows in (3, 2, 1, 6):
        callers.call(plane(rows=rows))
    answers = callers.open()
    assert sizes(callers) == [1, 4, 2, 6]
    assert [len(one) for one in answers] == [1, 3, 2, 1, 6]


def test_encoded_images_are_shared_out_as_their_own_memory(callers):
    callers.call(plane())
    images = [torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    encoded = [callers.pool.submit(callers.gathered.encode, one) for one in images]
    until(lambda: callers.gathered.queued == 3)
    callers.open()
    for one, answer in zip(images, encoded, strict=True):
        features, flipped = answer.result(PATIENCE)
        assert torch.equal(features.image, one)
        assert flipped is None
        assert features.image.untyped_storage().nbytes() == one.nbytes  # a cache counts it so
    assert sizes(callers) == [1, 3]


def test_an_error_reaches_all_of_its_batch_and_nobody_else(callers):
    callers.call(plane())
    for value in (0.5, 1.5, 0.5, 0.5, 0.5):
        callers.call(plane(value))
    answers = callers.open()
    assert [isinstance(one, ArithmeticError) for one in answers] == [False, True, True, True, True, False]
    assert all("too bright" in str(one) for one in answers[1:5])
    callers.answers.clear()
    callers.call(plane())  # the worker lives on
    assert callers.open()[0].shape == (1, 1, 8, 12)


def test_a_full_queue_is_told(callers):
    callers.call(plane())
    for _ in range(9):
        callers.call(plane())
    assert callers.gathered.queued == 9
    callers.call(plane())
    answers = callers.open()
    assert isinstance(answers[-1], NetworkBusy)
    assert "9 calls wait for the network already, and 9 may" in str(answers[-1])
    assert not any(isinstance(one, Exception) for one in answers[:-1])


def test_closing_plays_what_waits_and_refuses_what_comes(callers):
    for _ in range(3):
        callers.call(plane())
    closing = callers.pool.submit(callers.gathered.close)
    until(lambda: callers.gathered._desk._closed)
    callers.call(plane())
    answers = callers.open()
    closing.result(PATIENCE)
    assert not callers.gathered._worker.is_alive()
    assert [isinstance(one, RuntimeError) for one in answers] == [False, False, False, True]
    assert "was closed" in str(answers[-1])


def test_the_worker_ends_with_the_last_who_could_call():
    network = Brightness()
    predictor = Predictor(network, zoom=RULE, gather=2)
    predictor.session(np.zeros((20, 20, 3), np.uint8)).click(5, 5)
    worker, gone = predictor._gathered._worker, weakref.ref(predictor)
    del predictor
    gc.collect()
    worker.join(PATIENCE)
    assert gone() is None
    assert not worker.is_alive()


def test_one_who_was_interrupted_is_not_played(callers):
    callers.call(plane())
    callers.call(plane())
    (left,) = callers.gathered._desk._calls
    left.answer.cancel()  # what `ask` does when its thread is interrupted
    callers.call(plane())
    callers.open()
    assert sizes(callers) == [1, 1]


@pytest.mark.parametrize(("most", "waiting"), [(0, 1), (-1, 1), (1, 0)])
def test_numbers_are_positive(most, waiting):
    with pytest.raises(ValueError, match=f"got most={most}, waiting={waiting}"):
        GatheredRound(Round(Brightness(), modulate_none), most, waiting)


@pytest.mark.parametrize("flip", [False, True])
def test_sessions_of_eight_threads_are_as_if_alone_in_fewer_forwards(tiny, flip):
    images = [np.ascontiguousarray(drawn(48, 64, seed).image.permute(1, 2, 0).numpy()) for seed in range(8)]
    alone = [Predictor(tiny, zoom=RULE, flip=flip).session(each).play(CLICKS) for each in images]
    forwards = []

    class Counted:
        training, config = False, tiny.config

        def encode_image(self, image):
            return tiny.encode_image(image)

        def __call__(self, features, *maps):
            forwards.append(len(features.image))
            time.sleep(0.02)  # a slow network, so that the others arrive meanwhile
            return tiny(features, *maps)

    shared = Predictor(Counted(), zoom=RULE, flip=flip, gather=8)
    ready = threading.Barrier(8)

    def work(number):
        session = shared.session(images[number])
        ready.wait(PATIENCE)
        for click in CLICKS:
            prediction = session.click(click.x, click.y, click.positive)
        return prediction

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(work, range(8)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(other.prob, one.prob, atol=1e-5)
        assert other.score == pytest.approx(one.score, abs=1e-5)
    assert sum(forwards) == 8 * len(CLICKS) * (1 + flip)
    assert len(forwards) < 8 * len(CLICKS)
    assert max(forwards) > 1 + flip
    shared.close()


def test_released_networks_gather_only_images_with_their_mirror(image):
    torch.manual_seed(0)
    network = build_isrefiner("test", image_size=64, released=True).eval()
    with pytest.raises(ValueError, match="gather=2 does not go with the released VFM-ISRefiner, which mixes pairs"):
        Predictor(network, gather=2)
    for settings in ({"gather": 2, "flip": True}, {"gather": 1}):
        predictor = Predictor(network, **settings)
        assert predictor.session(image).click(30, 30).prob.shape == image.shape[:2]
        predictor.close()


def test_a_predictor_without_gathering_has_nothing_to_close(predictor, image):
    predictor.close()
    assert predictor.session(image).click(5, 5).clicks == (Click(5, 5),)
