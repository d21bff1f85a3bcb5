import pickle

import numpy as np

from vfm_isrefiner.data.cache import DecodedCache


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
    copy = pickle.loads(pickle.dumps(cache))
    assert (copy.budget, copy.held, len(copy)) == (100, 0, 0)
