"""`ResumableLoader`: training batches from worker processes, which hand them over in memory that is used again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor
from torch.utils.data import DataLoader, get_worker_info

from vfm_isrefiner.data.sampling import EpochSampler, TrainingSamples
from vfm_isrefiner.data.shared_file import SharedFile
from vfm_isrefiner.instance import Instance, InstanceBatch

AHEAD = 2  # batches that each worker is asked for in advance
BYTES_PER_PIXEL = 5  # image, mask, ignore


@dataclass(frozen=True)
class Sent:
    """A batch whose pixels lie in a slot of a `BatchRing`; `shape` is (B, H, W), the rest as in `InstanceBatch`."""

    slot: int
    shape: tuple[int, int, int]
    size: list[list[int]]
    id: tuple[str, ...]
    source: tuple[str, ...]
    category: tuple[str, ...]
    gsd: list[float]


@final
class BatchRing:
    """Slots of shared memory, `AHEAD` + 1 for each worker, that its batches take in turn.

    Fresh memory for every batch, as a DataLoader takes it, costs several times the copy: the system hands it out page by page.
    No lock is needed: a worker is asked for its batch n + `AHEAD` when batch n has been received, so when it fills the slot of
    batch n again, for batch n + `AHEAD` + 1, batch n + 1 has been received and n copied.

    Args:
        workers: of the loader.
        batch_size: samples of a batch.
        side: the most that an image has of rows and columns.
    """

    def __init__(self, workers: int, batch_size: int, side: int) -> None:
        self._slot = batch_size * side * side * BYTES_PER_PIXEL
        self._file = SharedFile(workers * (AHEAD + 1) * self._slot)
        self._made = 0

    def collate(self, instances: list[Instance]) -> InstanceBatch | Sent:
        """In a worker: what `InstanceBatch.collate` gives, put together in the next slot."""
        worker = get_worker_info()
        if worker is None:
            return InstanceBatch.collate(instances)
        slot = worker.id * (AHEAD + 1) + self._made % (AHEAD + 1)
        self._made += 1
        size = [list(item.image.shape[1:]) for item in instances]
        shape = len(instances), max(height for height, _ in size), max(width for _, width in size)
        image, mask, ignore = self._views(slot, shape)
        for row, (item, (height, width)) in enumerate(zip(instances, size, strict=True)):
            for whole, part, padding in ((image, item.image, 0), (mask, item.mask, False), (ignore, item.ignore, True)):
                whole[row, :, :height, :width] = part
                whole[row, :, height:] = padding
                whole[row, :, :height, width:] = padding
        names, sources, categories = (tuple(getattr(it, name) for it in instances) for name in ("id", "source", "category"))
        return Sent(slot, shape, size, names, sources, categories, [item.gsd for item in instances])

    def received(self, sent: Sent) -> InstanceBatch:
        """In the loader's process: the batch, in the slot's memory still."""
        size, gsd = torch.tensor(sent.size), torch.tensor(sent.gsd)
        return InstanceBatch(*self._views(sent.slot, sent.shape), size, sent.id, sent.source, sent.category, gsd)

    def _views(self, slot: int, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
        count, height, width = shape
        start, pixels = slot * self._slot, count * height * width
        image = torch.frombuffer(self._file.memory, dtype=torch.uint8, count=3 * pixels, offset=start)
        maps = torch.frombuffer(self._file.memory, dtype=torch.bool, count=2 * pixels, offset=start + 3 * pixels)
        mask, ignore = maps.reshape(2, count, 1, height, width)
        return image.reshape(count, 3, height, width), mask, ignore


@final
class ResumableLoader(DataLoader):
    """A loader whose position the data module keeps. With its two methods of state Lightning takes it for resumable.

    Args:
        samples, batch_size, sampler: incomplete batches are left out.
        num_workers: processes that read; 0 reads in this one.
        side: the most that a sample has of rows and columns.
        pin: give batches in page-locked memory.
        seed: of the number that a loader draws for its workers, from a generator of its own: the global one is left as it is.
    """

    def __init__(
        self,
        samples: TrainingSamples,
        batch_size: int,
        sampler: EpochSampler,
        num_workers: int = 0,
        side: int = 0,
        pin: bool = False,
        seed: int = 0,
    ) -> None:
        rings = num_workers > 0 and SharedFile.possible()
        self._ring = BatchRing(num_workers, batch_size, side) if rings else None
        self._pin = pin
        several: dict[str, Any] = {"persistent_workers": True, "prefetch_factor": AHEAD} if num_workers > 0 else {}
        super().__init__(
            samples,
            batch_size,
            sampler=sampler,
            num_workers=num_workers,
            collate_fn=InstanceBatch.collate if self._ring is None else self._ring.collate,
            drop_last=True,
            generator=torch.Generator().manual_seed(seed),
            **several,
        )

    def __iter__(self) -> Iterator[InstanceBatch]:  # type: ignore[override]  # DataLoader promises its own kind of iterator
        return map(self._ready, super().__iter__())

    def _ready(self, batch: InstanceBatch | Sent) -> InstanceBatch:
        """In memory of its own."""
        if isinstance(batch, Sent):
            assert self._ring is not None  # who else has sent it
            batch = self._ring.received(batch)
            if not self._pin:
                return replace(batch, **{name: getattr(batch, name).clone() for name in ("image", "mask", "ignore")})
        return batch.pin_memory() if self._pin else batch

    def state_dict(self) -> dict[str, int]:
        return {}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """The sampler starts at the data module's position already."""
