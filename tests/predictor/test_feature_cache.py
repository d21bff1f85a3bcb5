"""The cache of features: what is kept, what leaves first, and that it changes no result."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from loop_parts import Brightness

from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.interaction import ImageFeatures
from vfm_isrefiner.modulation import modulate_none
from vfm_isrefiner.predictor.feature_cache import CachedRound, FeatureCache, bytes_of, content_key
from vfm_isrefiner.rollout import Round


def features(side=8):
    return ImageFeatures(torch.zeros(1, 3, side, side)), None


def test_the_least_recently_used_leaves():
    size = bytes_of(features())
    assert size == 3 * 64 * 4
    cache = FeatureCache(2 * size)
    cache.put(b"a", features())
    cache.put(b"b", features())
    assert cache.get(b"a") is not None
    cache.put(b"c", features())
    assert cache.get(b"b") is None
    assert cache.get(b"a") is not None
    assert cache.get(b"c") is not None
    assert (len(cache), cache.bytes) == (2, 2 * size)


def test_what_is_too_large_is_not_kept_and_drives_nothing_out():
    cache = FeatureCache(bytes_of(features()))
    cache.put(b"a", features())
    cache.put(b"large", features(16))
    assert cache.get(b"large") is None
    assert cache.get(b"a") is not None
    cache.put(b"a", features())
    assert cache.bytes == bytes_of(features())


def test_what_several_ask_for_is_made_once():
    cache, begun, go, made = FeatureCache(2**20), threading.Event(), threading.Event(), []

    def make():
        begun.set()
        assert go.wait(30)
        made.append(features())
        return made[-1]

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(cache.get_or_make, b"a", make)
        assert begun.wait(30)
        others = [pool.submit(cache.get_or_make, b"a", make) for _ in range(3)]
        assert cache.get_or_make(b"b", features)[1] is None  # nobody waits for another key
        go.set()
        assert all(each.result(30) is first.result(30) for each in others)
    assert len(made) == 1
    assert cache.get_or_make(b"a", make) is made[0]


def test_what_could_not_be_made_is_tried_again():
    cache = FeatureCache(2**20)

    def fails():
        raise ArithmeticError("no")

    for _ in range(2):
        with pytest.raises(ArithmeticError, match="no"):
            cache.get_or_make(b"a", fails)
    assert cache.get(b"a") is None
    assert cache.get_or_make(b"a", features) is cache.get(b"a")


def test_budgets_are_not_negative():
    with pytest.raises(ValueError, match="at least 0 bytes, got -1"):
        FeatureCache(-1)


def test_memory_is_counted_once_and_whole():
    base = torch.zeros(10, 3, 4, 4)
    shared = ImageFeatures(base[:1], patches=base[1:2].flatten(2))
    assert bytes_of((shared, None)) == base.nbytes  # a view keeps all of its tensor alive
    assert bytes_of((shared, ImageFeatures(base.clone()))) == 2 * base.nbytes


def test_a_key_is_of_values_shape_and_type():
    image = torch.arange(12.0).view(1, 3, 2, 2)
    assert content_key(image) == content_key(image.clone())
    others = [image + 1, image.view(1, 3, 4, 1), image.double(), image.transpose(2, 3)]
    assert len({content_key(image), *map(content_key, others)}) == 5
    assert content_key(image.transpose(2, 3)) == content_key(image.transpose(2, 3).contiguous())


@pytest.mark.parametrize("flip", [True, False])
def test_a_cached_round_is_the_round(flip):
    network = Brightness()
    plain = Round(network, modulate_none, flip=flip)
    cached = CachedRound(plain, FeatureCache(2**20))
    assert cached.flip is flip
    image = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    clicks = Clicks(torch.tensor([[[3.0, 4.0]]]), torch.ones(1, 1, dtype=torch.int8))
    prev = torch.zeros(1, 1, 12, 16)
    first, second = cached.encode(image), cached.encode(image.clone())
    assert second[0] is first[0]
    assert len(network.encoded) == 1 + flip
    assert torch.equal(cached.logits(*second, clicks, prev), plain.logits(*plain.encode(image), clicks, prev))
