import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DistributedSampler

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.sampling import EpochSampler, TrainingSamples
from vfm_isrefiner.data.skipping import Skips, told
from vfm_isrefiner.data.windows import merged, window
from vfm_isrefiner.instance import Instance


def same(first, second):
    return first.id == second.id and all(
        torch.equal(getattr(first, n), getattr(second, n)) for n in ("image", "mask", "ignore")
    )


def test_a_sample_is_a_function_of_seed_epoch_and_number(blocks):
    make = [TrainingSamples({"a": blocks(size=(60, 70))}, 50, 32, seed=seed) for seed in (0, 0, 1)]
    numbers = [3, 49, 50, 7]
    first = [make[0][number] for number in numbers]
    assert all(same(make[1][number], item) for number, item in zip(reversed(numbers), reversed(first), strict=True))
    assert not all(same(make[2][number], item) for number, item in zip(numbers, first, strict=True))
    assert not all(same(make[0][number], make[0][number + 50]) for number in range(50))
    assert len(make[0]) == 50


def test_windows_are_of_the_size_and_hold_the_object(blocks):
    samples = TrainingSamples({"a": blocks(size=(200, 300)), "b": blocks(size=(30, 300))}, 100, 64)
    for number in range(100):
        item = samples[number]
        assert item.image.shape[1:] in {(64, 64), (30, 64)}
        assert item.mask.sum() >= 16


def test_weights_decide_between_sets(blocks):
    sets = {name: blocks(source=name) for name in "abc"}
    samples = TrainingSamples(sets, 400, 64, {"a": 3, "b": 1, "c": 0})
    count = Counter(samples[number].source for number in range(400))
    assert 260 < count["a"] < 340
    assert count["a"] + count["b"] == 400


def test_every_object_is_drawn_alike_and_small_ones_never(blocks):
    of = blocks(4)
    of.records = tuple(replace(record, area=100 * record.instance) for record in of.records)
    samples = TrainingSamples({"a": of}, 800, 64, min_area=100, merge_probability=0)
    count = Counter(samples[number].id for number in range(800))
    assert set(count) == {f"im{k}/{i}" for k in range(4) for i in (1, 2)}
    assert min(count.values()) > 60


def test_sizes_are_drawn_alike_where_asked_for(blocks):
    of = blocks(8)
    of.records = tuple(replace(record, area=5000 if record.image == "im0" else 300 + record.instance) for record in of.records)
    large = [
        sum(samples.sets[0].records[samples.draw(number).objects[0]].area == 5000 for number in range(400))
        for samples in (TrainingSamples({"a": of}, 400, 64, size_balanced=balanced) for balanced in (False, True))
    ]
    assert 30 < large[0] < 75  # one image of eight
    assert 170 < large[1] < 230  # one octave of two


def test_merging_joins_two_objects_of_one_image(blocks):
    of = blocks(4)
    count = 0
    for number in range(400):
        item = TrainingSamples({"a": of}, 400, 64)[number]
        if "+" in item.id:
            one, two = item.id.split("+")
            assert one.split("/")[0] == two.split("/")[0]
            assert one != two
            assert item.mask.sum() > 400
            count += 1
    assert 35 < count < 90  # 15 %


def test_merging_changes_nothing_else(blocks):
    pair = [TrainingSamples({"a": blocks(size=(90, 90))}, 60, 32, merge_probability=p) for p in (0.0, 1.0)]
    for number in range(60):
        alone, joined = (samples[number] for samples in pair)
        assert joined.id.startswith(f"{alone.id}+")


def test_merged_masks_are_not_ignored():
    def of(columns, ignored, name):
        mask, ignore = torch.zeros(2, 1, 4, 6, dtype=torch.bool)
        mask[..., columns] = ignore[..., ignored] = True
        return Instance(torch.zeros(3, 4, 6, dtype=torch.uint8), mask, ignore, name, "s")

    both = merged(of(0, 1, "x"), of(1, 5, "y"))
    assert both.id == "x+y"
    assert both.mask[0, 0].tolist() == [True, True, False, False, False, False]
    assert both.ignore[0, 0].tolist() == [False, False, False, False, False, True]


def test_window_of_an_empty_and_of_a_thin_object():
    image = torch.zeros(3, 50, 60, dtype=torch.uint8)
    mask, ignore = torch.zeros(2, 1, 50, 60, dtype=torch.bool)
    empty = window(Instance(image, mask, ignore, "x", "s"), 16, np.random.default_rng(0).random(3))
    assert empty.image.shape == (3, 16, 16)
    mask = mask.clone()
    mask[0, 20, 30] = True
    for seed in range(5):
        assert window(Instance(image, mask, ignore, "x", "s"), 16, np.random.default_rng(seed).random(3)).mask.sum() == 1


def test_faults(blocks):
    with pytest.raises(DataError, match="There is no training set"):
        TrainingSamples({}, 10, 64)
    with pytest.raises(DataError, match=r"weights are given for \['b'\] and the sets are \['a'\]"):
        TrainingSamples({"a": blocks()}, 10, 64, {"b": 1.0})
    for weight in (0, -1, float("nan")):
        with pytest.raises(DataError, match="numbers of 0 or more were expected, at least one above 0"):
            TrainingSamples({"a": blocks()}, 10, 64, {"a": weight})
    with pytest.raises(DataError, match=r"No object of 'blocks' has 401 px² or more .the largest has 400."):
        TrainingSamples({"a": blocks()}, 10, 64, min_area=401)


class Broken:
    """Blocks of which `faulty` images cannot be read and `empty` instances have no pixel."""

    def __new__(cls, blocks, faulty=(), empty=(), **kwargs):
        of = blocks(**kwargs)
        image, mask = of.read_image, of.read_mask

        def read_image(record):
            if record.image in faulty:
                raise DataError(f"{record.image}.png cannot be read")
            return image(record)

        def read_mask(record):
            found, ignore = mask(record)
            return found & (record.id not in empty), ignore

        of.read_image, of.read_mask = read_image, read_mask
        return of


def test_a_broken_file_is_an_error(blocks):
    samples = TrainingSamples({"a": Broken(blocks, ["im0"], images=1)}, 10, 64)
    with pytest.raises(DataError, match=r"im0\.png cannot be read"):
        samples[0]
    empty = [f"im0/{k}" for k in range(3)]
    samples = TrainingSamples({"a": Broken(blocks, empty=empty, images=1)}, 10, 64, merge_probability=0)
    with pytest.raises(DataError, match=r"blocks, image 'im0', instance im0/.: its mask has no pixel that counts"):
        samples[0]


def test_skipped_samples_are_replaced_alike_and_counted(blocks):
    whole = TrainingSamples({"a": blocks(8)}, 60, 64)
    counts = []
    for order in (range(60, 120), reversed(range(60, 120))):
        of = Broken(blocks, ["im3"], images=8)
        samples = TrainingSamples({"a": of}, 60, 64, skips=Skips([of], 0, 60))
        items = {number: samples[number] for number in order}
        counts.append((samples.skips.taken(), {number: item.id for number, item in items.items()}))
        for number, item in items.items():
            first = whole.draw(number).objects[0]
            assert same(item, whole[number]) or whole.sets[0].records[first].image == "im3"
            assert not item.id.startswith("im3")
        assert samples.skips.taken() == {}
    assert counts[0] == counts[1]
    assert 1 < counts[0][0]["blocks/im3"] < 20


def test_too_many_skipped_samples_are_an_error(blocks):
    of = Broken(blocks, [f"im{k}" for k in range(8)], images=8)
    samples = TrainingSamples({"a": of}, 60, 64, skips=Skips([of], 0, 3))
    with pytest.raises(DataError, match=r"More than 3 samples of an epoch were skipped .* im.\.png cannot be read"):
        samples[0]
    assert sum(samples.skips.taken().values()) == 4


def test_skipped_samples_are_told():
    text = told({f"a/im{k}": 9 - k for k in range(9)}, 4, most=2)
    assert text.startswith(
        "Epoch 4: 45 samples of 9 images could not be read and were replaced: a/im0 (9), a/im1 (8) and 7 more."
    )


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_share_an_epoch(world):
    parts = [list(EpochSampler(20, world, rank, epoch=2)) for rank in range(world)]
    assert {len(part) for part in parts} == {20 // world}
    assert sorted(itertools.chain(*parts)) == list(range(40, 40 + 20 // world * world))


def test_start_in_the_middle_and_go_on():
    sampler = EpochSampler(20, 2, 1, epoch=3, start=8)
    assert list(sampler) == [69, 71, 73, 75, 77, 79] == list(EpochSampler(20, 2, 1, epoch=3))[4:]
    assert len(sampler) == 10
    sampler.set_epoch(3)
    assert len(list(sampler)) == 6
    sampler.set_epoch(4)
    assert list(sampler) == list(EpochSampler(20, 2, 1, epoch=4))


def test_trainers_leave_the_sampler_in_place():
    assert isinstance(EpochSampler(4), DistributedSampler)
