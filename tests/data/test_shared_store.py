import multiprocessing
import os
import pickle
import signal

import numpy as np
import pytest
import torch

from vfm_isrefiner.data.pictures import Picture
from vfm_isrefiner.data.shared_file import SharedFile
from vfm_isrefiner.data.shared_store import SharedStore

pytestmark = [
    pytest.mark.skipif(not SharedFile.possible(), reason="memory files are Linux's"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


def value(number):
    return torch.full((3, 20, number % 30 + 1), number % 251, dtype=torch.uint8)


def check_and_fill(store, numbers, found):
    for number in numbers:
        got = store.get(("image", number))
        if got is None:
            store.put(("image", number), value(number))
            got = store.get(("image", number))
        # the other process may be writing this very entry
        found.put(got is None or torch.equal(got, value(number)))


@pytest.mark.parametrize(
    "stored",
    [
        torch.arange(12, dtype=torch.int32).reshape(3, 4),
        torch.arange(12).to(torch.uint16),
        torch.arange(12).reshape(3, 4).T,
        torch.tensor([True, False]),
        torch.zeros(0, 3, dtype=torch.uint8),
    ],
)
def test_tensors_come_back_as_they_went(stored):
    store = SharedStore(10**6)
    assert store.get("k") is None
    assert store.put("k", stored)
    assert not store.put("k", stored)
    assert store.get("k").dtype == stored.dtype
    assert torch.equal(store.get("k"), stored)


def test_objects_that_hold_tensors():
    store = SharedStore(10**6)
    picture = Picture(value(5), torch.ones(1, 20, 6, dtype=torch.bool), 0.5)
    store.put(("picture", "a"), picture)
    found = store.get(("picture", "a"))
    assert torch.equal(found.image, picture.image)
    assert torch.equal(found.nodata, picture.nodata)
    assert found.gsd == 0.5
    store.put("pair", (np.arange(3), "text", None))
    assert store.get("pair")[1:] == ("text", None)


def test_nothing_is_copied_out_and_nothing_twice():
    store = SharedStore(10**6)
    store.put("a", Picture(torch.zeros(3, 100, 100, dtype=torch.uint8)))
    held = store.held
    image = store.get("a").image
    assert image.data_ptr() == store.get("a").image.data_ptr()
    store.put("b", image)
    assert store.held - held < 1000
    assert store.get("b").data_ptr() == image.data_ptr()
    store.put("c", image.clone())
    assert store.held - held > 30_000


def test_what_does_not_fit_is_refused_and_the_rest_stays():
    store = SharedStore(5000)
    assert store.put("a", torch.zeros(3000, dtype=torch.uint8))
    assert not store.put("b", torch.zeros(3000, dtype=torch.uint8))
    assert store.put("c", torch.ones(1000, dtype=torch.uint8))
    assert (store.get("b"), int(store.get("c").sum()), int(store.get("a").sum())) == (None, 1000, 0)
    assert store.held <= 5000


def test_every_slot_can_be_taken_but_one():
    store = SharedStore(10**6)
    done = [store.put(number, np.zeros(1, np.uint8)) for number in range(1100)]
    assert done.count(True) == 1023
    assert store.get(1099) is None


def test_values_outlive_the_store():
    store = SharedStore(10**5)
    store.put("a", torch.arange(10))
    kept = store.get("a")
    del store
    assert kept.tolist() == list(range(10))


def test_processes_see_each_others_values():
    context = multiprocessing.get_context("fork")  # test_cache.py spawns one too
    store, found = SharedStore(10**6), context.Queue()
    store.put(("image", 0), value(0))
    shares = [range(40), range(39, -1, -1)]
    processes = [context.Process(target=check_and_fill, args=(store, share, found)) for share in shares]
    for process in processes:
        process.start()
    seen = [found.get(timeout=60) for _ in range(80)]
    for process in processes:
        process.join()
    assert all(seen)
    assert all(torch.equal(store.get(("image", number)), value(number)) for number in range(40))


def write_forever(store, ready):
    number = 0
    while True:
        store.put(("killed", os.getpid(), number), torch.full((50_000,), number % 200, dtype=torch.uint8))
        number += 1
        if number == 5:
            ready.set()


def hold_the_lock(store, ready):
    with store._file.lock():
        ready.set()
        signal.pause()


@pytest.mark.parametrize("work", [write_forever, hold_the_lock])
def test_a_killed_process_neither_blocks_nor_breaks_it(work):
    context = multiprocessing.get_context("fork")
    store = SharedStore(200 * 2**20)
    for _ in range(3):
        ready = context.Event()
        process = context.Process(target=work, args=(store, ready))
        process.start()
        assert ready.wait(60)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        for number in range(200):
            entry = store.get(("killed", process.pid, number))
            assert entry is None or (entry == number % 200).all()
        assert store.put(process.pid, value(3))
        assert torch.equal(store.get(process.pid), value(3))


def test_an_entry_that_is_being_written_is_not_seen(monkeypatch):
    store = SharedStore(10**6)

    def broken(start, part):
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_write", broken)
    with pytest.raises(KeyboardInterrupt):
        store.put("a", value(1))
    monkeypatch.undo()
    assert store.get("a") is None
    assert not store.put("a", value(1))
    assert store.put("b", value(2))
    assert torch.equal(store.get("b"), value(2))


def test_it_goes_into_no_file():
    with pytest.raises(TypeError, match="Shared memory goes to a process that is being started, not into a file"):
        pickle.dumps(SharedStore(1000))
