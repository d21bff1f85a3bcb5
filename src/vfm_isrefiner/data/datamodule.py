"""`RemoteSensingInstances`: sets for training, mixed and augmented on the device, and sets for evaluation."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, final, get_args

import numpy as np
import torch
from lightning.pytorch import LightningDataModule

from vfm_isrefiner.data.augment import Augmentation
from vfm_isrefiner.data.cache import share
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.instance_set import InstanceSet
from vfm_isrefiner.data.loader import ResumableLoader
from vfm_isrefiner.data.memory import cache_bytes as default_cache_bytes
from vfm_isrefiner.data.resident import ResidentLoader, ResidentSamples
from vfm_isrefiner.data.sampling import EpochSampler, TrainingSamples
from vfm_isrefiner.data.selection import Source, opened
from vfm_isrefiner.data.skipping import OnError, Skips, told
from vfm_isrefiner.instance import InstanceBatch

SPLITS = ("train", "val", "test")


@final
class RemoteSensingInstances(LightningDataModule):
    """Training batches are `InstanceBatch`es of `augmentation.crop_size`; evaluation takes whole sets from `evaluation_sets`.

    A run that is resumed from a checkpoint, also of the middle of an epoch, goes on with exactly the sample that came next.

    Args:
        train, val, test: sets by name. A callable without arguments (Hydra's `_partial_: true`) is opened when it is first
            needed.
        augmentation: from source windows to crops, on the device.
        train_weights: how often each training set is drawn; None takes all alike.
        batch_size: of each process.
        samples_per_epoch: of all processes together; what does not fill a batch on every process is left out.
        min_area: smaller objects (pixels) are not trained on; as released, 256.
        eval_min_area: smaller objects (pixels) are left out of `val` and `test`.
        merge_probability: of two objects of one image being joined in training; as released, 0.15.
        num_workers: processes that read for each training process; 0 reads in the training process.
        seed: of everything drawn.
        pin_memory: None pins where CUDA is there.
        cache_bytes: of decoded training images, shared by the workers of each training process; taken as it is filled. None: a
            quarter of the memory that is available, 16 GiB at most, divided among the training processes of this machine;
            0: every worker keeps its own 128 MiB a set.
        resident: hold the training sets on the training device and cut the windows there; the batches are the same. The workers
            read the files at the start, and end.
        on_error: what a training file that breaks does. "raise": training ends, naming it; "skip": its sample is replaced by
            another one, and every epoch tells how many were, by image.
        max_skipped: share of an epoch's samples; where more are skipped, training ends all the same.
        size_balanced: draw small and large objects alike often, by octaves of their area; the paper draws objects alike.

    Raises:
        DataError: a number is out of range; see the sets for what else.
    """

    def __init__(
        self,
        augmentation: Augmentation,
        train: Mapping[str, Source] | None = None,
        val: Mapping[str, Source] | None = None,
        test: Mapping[str, Source] | None = None,
        train_weights: Mapping[str, float] | None = None,
        batch_size: int = 16,
        samples_per_epoch: int = 30_000,
        min_area: int = 256,
        eval_min_area: int = 0,
        merge_probability: float = 0.15,
        num_workers: int = 0,
        seed: int = 0,
        pin_memory: bool | None = None,
        cache_bytes: int | None = None,
        resident: bool = False,
        on_error: OnError = "raise",
        max_skipped: float = 0.05,
        size_balanced: bool = False,
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("samples_per_epoch", samples_per_epoch, 1),
            ("seed", seed, 0),
            ("cache_bytes", cache_bytes or 0, 0),
        ):
            if value < least:
                raise DataError(f"data.{name} must be {least} or more, got {value}.")
        self.augmentation, self.train_weights = augmentation, train_weights
        self.batch_size, self.samples_per_epoch = batch_size, samples_per_epoch
        self.min_area, self.eval_min_area, self.merge_probability = min_area, eval_min_area, merge_probability
        self.num_workers, self.seed = num_workers, seed
        self.cache_bytes, self.resident = cache_bytes, resident
        if on_error not in get_args(OnError):
            raise DataError(f"Unknown data.on_error={on_error!r}. Choose one of {', '.join(get_args(OnError))}.")
        if resident and on_error == "skip":
            raise DataError("data.resident=true reads every file at the start and skips none. Take data.on_error=raise.")
        self.on_error, self.max_skipped, self.size_balanced = on_error, max_skipped, size_balanced
        self._skips: Skips | None = None
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        self._sources = {split: dict(given or {}) for split, given in zip(SPLITS, (train, val, test), strict=True)}
        self._opened: dict[str, dict[str, InstanceSet]] = {}
        self._resume: dict[str, int] | None = None

    def evaluation_sets(self, split: str) -> dict[str, InstanceSet]:
        """The sets of "train", "val" or "test" by name; those of val and test without objects below `eval_min_area`.

        Raises:
            DataError: an unknown split, one without sets, or a set that cannot be opened.
        """
        if split not in SPLITS:
            raise DataError(f"Unknown split {split!r}. Choose one of {', '.join(SPLITS)}.")
        if not self._sources[split]:
            raise DataError(f"There is no {split} set. Give one under `data.{split}`.")
        if split not in self._opened:
            found = {name: opened(source) for name, source in self._sources[split].items()}
            if split != "train" and self.eval_min_area > 0:
                found = {name: each.where(min_area=self.eval_min_area) for name, each in found.items()}
            self._opened[split] = found
        return self._opened[split]

    def train_dataloader(self) -> ResumableLoader | ResidentLoader:
        """Batches of source windows; they become crops in `on_after_batch_transfer`."""
        world_size, rank = (1, 0) if self.trainer is None else (self.trainer.world_size, self.trainer.global_rank)
        step = self.batch_size * world_size
        if self.samples_per_epoch < step:
            raise DataError(
                f"data.samples_per_epoch={self.samples_per_epoch} fills no batch of {self.batch_size} on each of {world_size} "
                f"processes. Take {step} or more, or a smaller data.batch_size."
            )
        sets = self.evaluation_sets("train")
        allowed = int(self.max_skipped * self.samples_per_epoch / world_size)
        self._skips = Skips(list(sets.values()), self.num_workers, allowed) if self.on_error == "skip" else None
        samples = TrainingSamples(
            sets,
            self.samples_per_epoch,
            self.augmentation.source_size,
            self.train_weights,
            self.min_area,
            self.merge_probability,
            self.seed,
            self._skips,
            self.size_balanced,
        )
        epoch, start = self._first_position(step)
        sampler = EpochSampler(self.samples_per_epoch, world_size, rank, epoch, start)
        if self.resident:
            device = "cpu" if self.trainer is None else self.trainer.strategy.root_device
            return ResidentLoader(ResidentSamples(samples, device, self.num_workers), self.batch_size, sampler)
        local = 1 if self.trainer is None else self.trainer.num_devices
        budget = default_cache_bytes(local) if self.cache_bytes is None else self.cache_bytes
        share((each.cache for each in samples.sets), budget, self.num_workers)
        return ResumableLoader(
            samples,
            self.batch_size,
            sampler,
            self.num_workers,
            self.augmentation.source_size,
            self.pin_memory,
            self.seed,
        )

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augment training batches where they are; seed, epoch, step in the epoch and process decide the crops."""
        if self.trainer is None or not self.trainer.training or not isinstance(batch, InstanceBatch):
            return batch
        epoch, step = self._progress("epoch").processed, self._progress("batch").ready
        if self._skips is not None and step + 1 == self.trainer.num_training_batches:
            self._tell_skipped(self._skips, batch.image.device)
        mixed = np.random.SeedSequence((self.seed, epoch, step, self.trainer.global_rank)).generate_state(1)
        return self.augmentation(batch, int(mixed[0]))

    def _tell_skipped(self, skips: Skips, device: torch.device) -> None:
        """At the last batch of an epoch, when all of it is read: warn of skipped samples, log those of all processes."""
        assert self.trainer is not None
        skipped = skips.taken()
        if skipped:
            warnings.warn(told(skipped, self.trainer.current_epoch), stacklevel=2)
        count = torch.tensor(float(sum(skipped.values())), device=device)
        total = self.trainer.strategy.reduce(count, reduce_op="sum")
        for logger in self.trainer.loggers:
            logger.log_metrics({"data/skipped": float(total)}, step=self.trainer.global_step)

    def state_dict(self) -> dict[str, int]:
        """Where training stands: the epoch, how many of its samples are trained on, and what these numbers count."""
        if self.trainer is None:
            return {} if self._resume is None else dict(self._resume)
        epochs, batches = self._progress("epoch"), self._progress("batch")
        step = self.batch_size * self.trainer.world_size
        # Lightning counts an epoch as ready, then as started; the batches of the last one count until the next one begins.
        if epochs.ready == epochs.started and epochs.ready > 0 and batches.processed < self.trainer.num_training_batches:
            epoch, consumed = epochs.ready - 1, batches.processed * step
        else:
            epoch, consumed = epochs.started, 0
        return {"epoch": epoch, "consumed": consumed, "samples_per_epoch": self.samples_per_epoch, "step_samples": step}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on from `state_dict` when training next starts."""
        self._resume = dict(state_dict)

    def _progress(self, what: str) -> Any:
        """Lightning's counters of epochs, or of batches of this epoch: ready, started, processed, completed."""
        assert self.trainer is not None
        loop = self.trainer.fit_loop
        return loop.epoch_progress.current if what == "epoch" else loop.epoch_loop.batch_progress.current

    def _first_position(self, step: int) -> tuple[int, int]:
        """Epoch and samples of it that are behind us. A loaded position serves once."""
        state, self._resume = self._resume, None
        if state is None:
            return (0 if self.trainer is None else self.trainer.current_epoch), 0
        epoch, consumed = state["epoch"], state["consumed"]
        if consumed and (state["samples_per_epoch"], state["step_samples"]) != (self.samples_per_epoch, step):
            raise DataError(
                f"The checkpoint stands in an epoch of {state['samples_per_epoch']} samples, {state['step_samples']} a step; "
                f"this run has {self.samples_per_epoch} and {step}. Resume with the same data.samples_per_epoch and the same "
                "data.batch_size × processes, or from a checkpoint of the end of an epoch."
            )
        return epoch, consumed
