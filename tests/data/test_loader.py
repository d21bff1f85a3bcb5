import itertools
from dataclasses import fields

import pytest
import torch
from torch.utils.data import DataLoader

from vfm_isrefiner.data.loader import AHEAD, BatchRing, ResumableLoader
from vfm_isrefiner.data.sampling import EpochSampler, TrainingSamples
from vfm_isrefiner.data.shared_file import SharedFile
from vfm_isrefiner.instance import InstanceBatch

fork = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


def samples_of(blocks):
    return TrainingSamples({"a": blocks(10), "b": blocks(5, (70, 30), "b"), "c": blocks(5, (30, 90), "c")}, 60, 48)


def assert_equal(first, second):
    for field in fields(InstanceBatch):
        one, other = getattr(first, field.name), getattr(second, field.name)
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def loader_of(samples, workers, **settings):
    return ResumableLoader(samples, 4, EpochSampler(60), workers, 48, **settings)


@fork
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_collated_samples_and_stay_what_they_are(blocks, workers):
    samples = samples_of(blocks)
    loader = loader_of(samples, workers)
    list(itertools.islice(loader, 3))  # an epoch that is left early
    for epoch in (0, 1):
        loader.sampler.set_epoch(epoch)
        batches = list(loader)  # more than there are slots, all kept
        assert len(batches) == 15 > 2 * (AHEAD + 1)
        for number, batch in enumerate(batches):
            first = 60 * epoch + 4 * number
            assert_equal(batch, InstanceBatch.collate([samples[index] for index in range(first, first + 4)]))


@fork
def test_without_such_memory_batches_are_the_same(blocks, monkeypatch):
    monkeypatch.setattr(SharedFile, "possible", staticmethod(lambda: False))
    samples = samples_of(blocks)
    batch = next(iter(loader_of(samples, 1)))
    assert_equal(batch, InstanceBatch.collate([samples[index] for index in range(4)]))


@fork
@pytest.mark.skipif(not SharedFile.possible(), reason="memory files are Linux's")
def test_workers_send_places_and_no_pixels(blocks):
    ring = BatchRing(2, 4, 48)
    sent = list(DataLoader(samples_of(blocks), 4, num_workers=2, collate_fn=ring.collate, prefetch_factor=AHEAD))
    assert [each.slot for each in sent[:8]] == [0, 3, 1, 4, 2, 5, 0, 3]
    assert not any(isinstance(getattr(each, field.name), torch.Tensor) for each in sent for field in fields(each))


@pytest.mark.parametrize("workers", [0, 1])
@fork
def test_pinning_is_asked_for_once_a_batch(blocks, monkeypatch, workers):
    pinned = []
    monkeypatch.setattr(InstanceBatch, "pin_memory", lambda batch: pinned.append(1) or batch)
    list(loader_of(samples_of(blocks), workers, pin=True))
    assert len(pinned) == 15
