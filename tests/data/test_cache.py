import multiprocessing
import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from vfm_isrefiner.data.cache import DecodedCache, share
from vfm_isrefiner.data.shared_file import SharedFile
from vfm_isrefiner.instance import InstanceBatch

linux = pytest.mark.skipif(not SharedFile.possible(), reason="memory files are Linux's")


def load(count, calls):
    def make():
        calls.append(count)
        return np.zeros(count, np.uint8)

    return make


def test_holds_within_budget_and_drops_the_least_recent():
    cache, calls = DecodedCache(100), []
    for key in (1, 2, 1, 3, 1, 2):
        cache.get(key, load(40, calls))
    assert len(calls) == 4  # 1, 2, 3, and 2 again: 1 was used last when 3 came
    assert cache.held == 80
    assert len(cache) == 2


def test_newest_stays_even_above_the_budget():
    cache, calls = DecodedCache(10), []
    for _ in range(3):
        assert cache.get("large", load(1000, calls)).size == 1000
    assert calls == [1000]


def test_pickling_carries_no_entry():
    cache = DecodedCache(100)
    cache.get(1, load(40, []))
    share([cache], 10**5)
    copy = pickle.loads(pickle.dumps(cache))
    assert (copy.budget, copy.held, len(copy), copy.shares) == (100, 0, 0, False)


@linux
def test_shared_entries_stay_and_the_others_take_turns():
    cache, calls = DecodedCache(100), []
    share([cache], 30_000)
    for _ in range(3):
        for key in range(5):
            assert cache.get(key, load(10_000, calls)).size == 10_000
    # two have their place in the store; the other three push each other out
    assert len(calls) == 2 + 3 * 3
    assert len(cache) == 1


@linux
def test_equal_keys_of_two_caches_are_two_entries():
    caches = [DecodedCache(0), DecodedCache(0)]
    share([caches[0], caches[1], caches[0]], 10**5)
    for number, cache in enumerate(caches):
        assert cache.get("key", lambda number=number: torch.tensor(number)) == number


@linux
def test_sharing_again_keeps_what_is_there():
    cache, calls = DecodedCache(100), []
    for _ in range(2):
        share([cache], 10**5)
        cache.get("a", load(40, calls))
    assert calls == [40]


def test_no_budget_shares_nothing():
    cache = DecodedCache(100)
    share([cache], 0)
    assert not cache.shares


def test_without_such_memory_every_process_gets_its_part(monkeypatch):
    monkeypatch.setattr(SharedFile, "possible", staticmethod(lambda: False))
    caches = [DecodedCache(100), DecodedCache(5000)]
    share(caches, 8000, processes=2)
    assert [cache.budget for cache in caches] == [2000, 5000]
    assert not any(cache.shares for cache in caches)


@linux
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_workers_decode_an_image_once_for_all(blocks, method):
    of = blocks(6)
    share([of.cache], 10**6)
    context = multiprocessing.get_context(method)
    # eighteen instances of six images by a worker; then the images are there for this process
    loader = DataLoader(of, 3, num_workers=1, collate_fn=InstanceBatch.collate, multiprocessing_context=context)
    shown = torch.cat([batch.image[:, 0, 0, 0] for batch in loader])
    assert shown.tolist() == [k for k in range(6) for _ in range(3)]
    assert [int(of[index].image.max()) for index in range(18)] == shown.tolist()
    assert of.decoded == 0
