import re
import warnings

import lightning.pytorch as pl
import pytest
import torch

from vfm_isrefiner.data.augment import NoAugmentation, PaperAugmentation
from vfm_isrefiner.data.datamodule import RemoteSensingInstances
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.instance import InstanceBatch

STEPS = 5  # batches of 2 in an epoch of 11 samples


class Remembers(pl.LightningModule):
    """Trains one number and keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = []

    def training_step(self, batch, index):
        assert isinstance(batch, InstanceBatch)
        assert batch.image.shape == (2, 3, 32, 32)
        self.seen.append((self.current_epoch, index, batch.id, int(batch.image.long().sum()), int(batch.mask.sum())))
        return (self.weight * batch.image.float().mean() / 255).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


class SaveAt(pl.Callback):
    """Saves once, at a step and in a hook; with `stop`, training ends there as after a signal."""

    def __init__(self, step, hook, path, stop=False):
        self.step, self.path, self.stop = step, path, stop
        setattr(self, hook, self.save)

    def save(self, trainer, *_):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)
            if self.stop:
                raise KeyboardInterrupt


def module(blocks, **kwargs):
    settings = {"augmentation": PaperAugmentation(32), "train": {"blocks": blocks()}, "batch_size": 2, "samples_per_epoch": 11}
    return RemoteSensingInstances(**{**settings, **kwargs})


def trained(data, epochs=3, callbacks=(), resume=None, logger=False):
    model = Remembers()
    quiet = {"logger": logger, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(max_epochs=epochs, accelerator="cpu", callbacks=list(callbacks), **quiet)
    trainer.fit(model, datamodule=data, ckpt_path=resume)
    return model.seen


workers = pytest.mark.filterwarnings("ignore:.*does not have many workers")  # that is so on purpose
workers_fork = pytest.mark.filterwarnings(
    "ignore:.*multi-threaded, use of fork:DeprecationWarning"
)  # torch's own choice on Linux


@workers
@pytest.mark.parametrize(
    ("hook", "step"),
    [
        ("on_train_batch_end", 2),
        ("on_train_batch_end", STEPS),
        ("on_train_batch_end", STEPS + 2),
        ("on_train_epoch_end", STEPS),
        ("on_train_epoch_end", 2 * STEPS),
    ],
)
def test_resumed_run_sees_the_next_sample(blocks, tmp_path, hook, step):
    whole = trained(module(blocks))
    assert len(whole) == 3 * STEPS
    assert trained(module(blocks), callbacks=[SaveAt(step, hook, tmp_path / "a.ckpt")]) == whole
    assert trained(module(blocks), resume=tmp_path / "a.ckpt") == whole[step:]


@workers
@workers_fork
def test_workers_show_and_resume_the_same(blocks, tmp_path):
    whole = trained(module(blocks), epochs=2)
    save = SaveAt(3, "on_train_batch_end", tmp_path / "a.ckpt")
    assert trained(module(blocks, num_workers=1), epochs=2, callbacks=[save]) == whole
    assert trained(module(blocks, num_workers=1), epochs=2, resume=tmp_path / "a.ckpt") == whole[3:]


@workers
def test_longer_training_goes_on_with_new_epochs(blocks, tmp_path):
    trained(module(blocks), callbacks=[SaveAt(3 * STEPS, "on_train_end", tmp_path / "a.ckpt")])
    assert trained(module(blocks), epochs=4, resume=tmp_path / "a.ckpt") == trained(module(blocks), epochs=4)[3 * STEPS :]


@workers
def test_another_step_in_the_middle_of_an_epoch_is_refused(blocks, tmp_path):
    trained(module(blocks), epochs=1, callbacks=[SaveAt(2, "on_train_batch_end", tmp_path / "a.ckpt")])
    message = "stands in an epoch of 11 samples, 2 a step; this run has 12 and 2. Resume with the same"
    with pytest.raises(DataError, match=message):
        trained(module(blocks, samples_per_epoch=12), resume=tmp_path / "a.ckpt")


class Faulty:
    """Blocks of which image 3 cannot be read."""

    def __new__(cls, blocks):
        of = blocks()
        read = of.read_image

        def read_image(record):
            if record.image == "im3":
                raise DataError("im3.png cannot be read")
            return read(record)

        of.read_image = read_image
        return of


class Logged(pl.loggers.logger.DummyLogger):
    """Keeps what is logged of skipped samples."""

    def __init__(self):
        super().__init__()
        self.values = []

    def log_metrics(self, metrics, step=None):
        self.values += [(step, metrics["data/skipped"])] if "data/skipped" in metrics else []


def skipping(blocks, epochs, workers=0, logger=None, callbacks=(), resume=None):
    """What a run with `on_error=skip` is shown, and its warnings."""
    data = module(
        blocks, train={"blocks": Faulty(blocks)}, samples_per_epoch=40, on_error="skip", max_skipped=0.5, num_workers=workers
    )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        seen = trained(data, epochs, callbacks, resume, logger or False)
    return seen, [str(each.message) for each in told if "could not be read" in str(each.message)]


@workers
@workers_fork
def test_skipped_samples_are_told_each_epoch_also_of_workers(blocks, tmp_path):
    logger = Logged()
    whole, told = skipping(blocks, 3, logger=logger, callbacks=[SaveAt(27, "on_train_batch_end", tmp_path / "a.ckpt")])
    assert len(whole) == 60
    assert not any("im3" in name for step in whole for name in step[2])
    counts = [int(re.search(r"blocks/im3 .(\d+).\.", text)[1]) for text in told]
    assert [text.split(":")[0] for text in told] == ["Epoch 0", "Epoch 1", "Epoch 2"]
    assert logger.values == [(20 * epoch + 19, count) for epoch, count in enumerate(counts)]
    assert skipping(blocks, 3, workers=2) == (whole, told)
    assert skipping(blocks, 3, resume=tmp_path / "a.ckpt")[0] == whole[27:]


@workers
def test_a_broken_file_ends_training(blocks):
    with pytest.raises(DataError, match=r"im3\.png cannot be read"):
        trained(module(blocks, train={"blocks": Faulty(blocks)}, samples_per_epoch=100))
    few = module(blocks, train={"blocks": Faulty(blocks)}, samples_per_epoch=100, on_error="skip", max_skipped=0.01)
    with pytest.raises(DataError, match=r"More than 1 samples of an epoch were skipped .data.max_skipped.* im3\.png"):
        trained(few)


def test_state_without_a_trainer(blocks):
    data = module(blocks)
    assert data.state_dict() == {}
    state = {"epoch": 2, "consumed": 4, "samples_per_epoch": 11, "step_samples": 2}
    data.load_state_dict(state)
    assert data.state_dict() == state
    loader = data.train_dataloader()
    assert len(loader) == STEPS
    assert list(loader.sampler) == list(range(26, 33))


def test_the_global_random_state_is_left_alone(blocks):
    before = torch.random.get_rng_state()
    next(iter(module(blocks).train_dataloader()))
    assert torch.equal(before, torch.random.get_rng_state())


def test_batches_without_a_trainer_are_windows(blocks):
    data = module(blocks)
    batch = next(iter(data.train_dataloader()))
    assert batch.image.shape[-2:] == (40, 48)
    assert data.on_after_batch_transfer(batch, 0) is batch


def test_evaluation_sets(blocks):
    opened = []

    def later():
        opened.append(1)
        return blocks(3)

    data = module(blocks, val={"a": blocks(2)}, test={"b": later}, eval_min_area=400)
    assert not opened
    assert [len(data.evaluation_sets(split)["ab"[k]]) for k, split in enumerate(("val", "test"))] == [6, 9]
    data.evaluation_sets("test")
    assert opened == [1]
    with pytest.raises(DataError, match="has no instance"):
        module(blocks, val={"a": blocks(2)}, eval_min_area=401).evaluation_sets("val")
    with pytest.raises(DataError, match=r"Unknown split 'validation'. Choose one of train, val, test"):
        data.evaluation_sets("validation")
    with pytest.raises(DataError, match=r"There is no val set. Give one under `data.val`"):
        module(blocks).evaluation_sets("val")


def test_faults(blocks):
    for name, value in (("batch_size", 0), ("samples_per_epoch", 0), ("seed", -1)):
        with pytest.raises(DataError, match=rf"data\.{name} must be . or more, got {value}"):
            module(blocks, **{name: value})
    with pytest.raises(DataError, match="samples_per_epoch=11 fills no batch of 12 on each of 1 processes"):
        module(blocks, batch_size=12, augmentation=NoAugmentation(32)).train_dataloader()
    with pytest.raises(DataError, match=r"Unknown data.on_error='ignore'. Choose one of raise, skip"):
        module(blocks, on_error="ignore")
    with pytest.raises(DataError, match=r"data.resident=true reads every file at the start"):
        module(blocks, on_error="skip", resident=True)
    with pytest.raises(DataError, match="There is no train set"):
        module(blocks, train=None).train_dataloader()
