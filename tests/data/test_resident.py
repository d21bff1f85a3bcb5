from contextlib import suppress
from dataclasses import fields, replace

import lightning.pytorch as pl
import pytest
import torch

from vfm_isrefiner.data import resident
from vfm_isrefiner.data.augment import PaperAugmentation
from vfm_isrefiner.data.datamodule import RemoteSensingInstances
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.id_map import IdMap
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet
from vfm_isrefiner.data.resident import ResidentLoader, ResidentSamples
from vfm_isrefiner.data.sampling import EpochSampler, TrainingSamples
from vfm_isrefiner.instance import InstanceBatch

STEPS = 5  # batches of 2 in an epoch of 11 samples


class Noise(InstanceSet):
    """Two images of noise; a grid of objects of 3 × 3, more than a layer holds, given as id maps; the top row is ignored."""

    def __init__(self, size=(64, 52), source="noise"):
        self.size, self.grid = size, (size[0] // 3, size[1] // 3)
        count = self.grid[0] * self.grid[1]
        places = [(3 * (k % self.grid[1]), 3 * (k // self.grid[1])) for k in range(count)]
        super().__init__(
            source,
            [
                InstanceRecord(f"im{image}", 1 + k, f"im{image}/{k}", "ab"[k % 2], 9, (x, y, 3, 3), size, gsd=0.5 + image)
                for image in range(2)
                for k, (x, y) in enumerate(places)
            ],
        )

    def read_image(self, record):
        draw = torch.Generator().manual_seed(int(record.image[2:]))
        return torch.randint(0, 256, (3, *self.size), dtype=torch.uint8, generator=draw)

    def read_id_map(self, record):
        ids = torch.zeros(self.size, dtype=torch.int32)
        cells = 1 + torch.arange(self.grid[0] * self.grid[1], dtype=torch.int32).reshape(self.grid)
        whole = cells.repeat_interleave(3, 0).repeat_interleave(3, 1)
        ids[: whole.shape[0], : whole.shape[1]] = whole
        ids[0] = 60_000
        return IdMap(ids, 60_000)

    def read_mask(self, record):
        ids = self.read_id_map(record)
        return ids.mask(record.instance), ids.ignore()


def equal(first, second):
    for field in fields(InstanceBatch):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if isinstance(one, torch.Tensor):
            assert one.dtype == other.dtype
            torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True, check_stride=False)
        else:
            assert one == other


def mixed(blocks, **kwargs):
    """Small and large images, one side larger, overlapping objects, more than 253 of an image, and a set of weight 0."""
    sets = {
        "blocks": blocks(4),
        "tall": blocks(3, (90, 30), "tall"),
        "large": blocks(2, (70, 80), "large"),
        "noise": Noise(),
        "never": blocks(2, source="never"),
    }
    weights = {"blocks": 1, "tall": 1, "large": 1, "noise": 1, "never": 0}
    return TrainingSamples(sets, 80, 44, weights, **{"min_area": 0, "merge_probability": 0.4, "seed": 5, **kwargs})


def test_batches_equal_those_of_the_loader(blocks):
    samples = mixed(blocks)
    on_device = ResidentSamples(samples)
    assert on_device.layers is not None
    assert not on_device.places[4]
    for start in range(0, 160, 8):
        numbers = list(range(start, start + 8))
        equal(on_device.batch(numbers), InstanceBatch.collate([samples[number] for number in numbers]))


def test_sets_without_overlap_need_one_layer(blocks):
    of = Noise((15, 15))
    samples = TrainingSamples({"noise": of}, 10, 44, min_area=0)
    on_device = ResidentSamples(samples)
    assert on_device.layers is None
    assert on_device.pixels.numel() == 2 * 15 * 15
    equal(on_device.batch([3, 4]), InstanceBatch.collate([samples[3], samples[4]]))


def test_every_process_takes_its_own_samples_of_every_epoch(blocks):
    samples = mixed(blocks)
    sampler = EpochSampler(80, 2, 1)
    loader = ResidentLoader(ResidentSamples(samples), 12, sampler)
    assert len(loader) == 3
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        numbers = list(sampler)
        batches = list(loader)
        assert len(batches) == 3
        for step, batch in enumerate(batches):
            equal(batch, InstanceBatch.collate([samples[number] for number in numbers[12 * step : 12 * step + 12]]))


def test_a_loader_that_is_left_early_begins_anew(blocks):
    loader = ResidentLoader(ResidentSamples(mixed(blocks)), 12, EpochSampler(80))
    first = next(iter(loader))
    equal(first, next(iter(loader)))


def test_too_little_memory_is_told_with_sizes(blocks, monkeypatch):
    monkeypatch.setattr(resident, "free_memory", lambda device: 4 * 40 * 48 * 4 - 1)
    samples = TrainingSamples({"blocks": blocks(4)}, 10, 44)
    message = r"do not fit onto cpu: images and id maps need 0.00 GiB and 0.00 GiB are free. Take data.resident=false"
    with pytest.raises(DataError, match=message):
        ResidentSamples(samples)
    monkeypatch.setattr(resident, "free_memory", lambda device: 4 * 40 * 48 * 4)
    assert ResidentSamples(samples).layers.numel() == 4 * 2 * 40 * 48
    free = iter([2**20, 2 * 40 * 48 - 1])  # for the first layer, and for the other two
    monkeypatch.setattr(resident, "free_memory", lambda device: next(free))
    with pytest.raises(DataError, match="further layers of overlapping objects need"):
        ResidentSamples(TrainingSamples({"blocks": blocks(1)}, 10, 44, min_area=0))


def test_one_ignore_map_an_image(blocks):
    of = blocks(1)
    read = of.read_mask
    of.read_mask = lambda record: (read(record)[0], read(record)[1] ^ (record.instance == 2))
    with pytest.raises(DataError, match=r"'im0': 'im0/2' ignores other pixels than 'im0/0'. Resident sets need one ignore map"):
        ResidentSamples(TrainingSamples({"blocks": of}, 10, 44))


def test_processes_read_the_same(blocks):
    samples = mixed(blocks)
    alone, shared = ResidentSamples(samples), ResidentSamples(samples, readers=2)
    assert torch.equal(alone.pixels, shared.pixels)
    assert torch.equal(alone.layers, shared.layers)
    equal(alone.batch(range(8)), shared.batch(range(8)))


@pytest.mark.parametrize("readers", [0, 1])
def test_sizes_must_agree(blocks, readers):
    of = blocks(1)
    of.read_image = lambda record: torch.zeros(3, 40, 47, dtype=torch.uint8)
    with pytest.raises(DataError, match=r"^blocks, image .*its image 40×47"):
        ResidentSamples(TrainingSamples({"blocks": of}, 10, 44), readers=readers)
    of = blocks(1)
    of.read_mask = lambda record: tuple(torch.zeros(2, 1, 41, 48, dtype=torch.bool))
    with pytest.raises(DataError, match="its mask 41×48"):
        ResidentSamples(TrainingSamples({"blocks": of}, 10, 44))
    of = Noise()
    of.records = tuple(replace(record, size=(64, 53)) for record in of.records)
    of.read_image = lambda record: torch.zeros(3, 64, 53, dtype=torch.uint8)
    with pytest.raises(DataError, match="its mask 64×52"):
        ResidentSamples(TrainingSamples({"noise": of}, 10, 44, min_area=0))


class Remembers(pl.LightningModule):
    """Trains one number and keeps what it was shown; saves after `save_at` steps and stops there."""

    def __init__(self, path=None, save_at=-1):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.path, self.save_at, self.seen = path, save_at, []

    def training_step(self, batch, index):
        self.seen.append((self.current_epoch, index, batch.id, int(batch.image.long().sum()), int(batch.mask.sum())))
        return (self.weight * batch.image.float().mean() / 255).sum()

    def on_train_batch_end(self, *_):
        if self.trainer.global_step == self.save_at:
            self.trainer.save_checkpoint(self.path)
            raise KeyboardInterrupt

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def trained(blocks, is_resident, model, resume=None):
    data = RemoteSensingInstances(
        PaperAugmentation(32), {"blocks": blocks()}, batch_size=2, samples_per_epoch=11, resident=is_resident
    )
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(max_epochs=3, accelerator="cpu", **quiet)
    with suppress(SystemExit):  # Lightning ends so after a KeyboardInterrupt
        trainer.fit(model, datamodule=data, ckpt_path=resume)
    return model.seen


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.parametrize("step", [2, STEPS, STEPS + 3])
def test_training_and_a_resumed_one_see_what_the_loader_shows(blocks, tmp_path, step):
    whole = trained(blocks, False, Remembers())
    assert len(whole) == 3 * STEPS
    file = tmp_path / "a.ckpt"
    assert trained(blocks, True, Remembers(file, step)) == whole[:step]
    assert trained(blocks, True, Remembers(), file) == whole[step:]
