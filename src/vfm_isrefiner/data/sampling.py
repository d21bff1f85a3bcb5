"""`TrainingSamples`: objects drawn from several sets, each with a window of its image; a function of the sample's number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from torch.utils.data import Dataset, DistributedSampler

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.instance_set import InstanceSet
from vfm_isrefiner.data.skipping import Skips
from vfm_isrefiner.data.windows import read_window
from vfm_isrefiner.instance import Instance


@dataclass(frozen=True)
class Draw:
    """One sample before it is read.

    Attributes:
        which: number of the set.
        objects: positions in the set: the object and, where two are merged, another one of its image.
        places: three numbers in [0, 1) that place the window, see `windows.placed`.
    """

    which: int
    objects: tuple[int, ...]
    places: np.ndarray


@final
class TrainingSamples(Dataset[Instance]):
    """Sample number n = epoch * `samples_per_epoch` + i is a pure function of (`seed`, epoch, i): workers hold no state, and
    any sample can be made again.

    A set is drawn by weight, then one of its objects of at least `min_area`, all alike (with `size_balanced`, its size first);
    with `merge_probability` another object of its image joins it. Of an image larger than `source_size` a window is cut at
    random such that a random pixel of the object lies in the window's middle half (border permitting). The result is at most
    `source_size` a side; `InstanceBatch.collate` pads it.

    Where a file breaks or an object has no pixel, that is an error; with `skips` it is counted there, and the sample is drawn
    again, as a function of (`seed`, epoch, i, attempt).

    Args:
        sets: by name.
        samples_per_epoch: of all processes together.
        source_size: side of the window in pixels.
        weights: of the sets, by name; None takes all alike.
        min_area: smaller objects (in pixels) are not drawn.
        merge_probability: as published, 0.15.
        seed: of everything drawn.
        skips: counts samples that cannot be read and decides how many may be; None allows none.
        size_balanced: draw the octave of the area first, all alike, then one of its objects.

    Raises:
        DataError: no set, a weight without its set or a set without its weight, no positive weight, or a set without a large
            enough object.
    """

    def __init__(
        self,
        sets: Mapping[str, InstanceSet],
        samples_per_epoch: int,
        source_size: int,
        weights: Mapping[str, float] | None = None,
        min_area: int = 256,
        merge_probability: float = 0.15,
        seed: int = 0,
        skips: Skips | None = None,
        size_balanced: bool = False,
    ) -> None:
        self.skips = skips
        self.sets = list(sets.values())
        self.samples_per_epoch, self.source_size = samples_per_epoch, source_size
        self.merge_probability, self.seed = merge_probability, seed
        self.cumulated = _probabilities(list(sets), weights).cumsum()
        self.cumulated /= self.cumulated[-1]
        self.drawn = [_large_enough(each, min_area) for each in self.sets]
        self.balanced = (
            [_octaves(each, drawn) for each, drawn in zip(self.sets, self.drawn, strict=True)] if size_balanced else []
        )
        self.neighbours = [_by_image(each, drawn) for each, drawn in zip(self.sets, self.drawn, strict=True)]

    def __len__(self) -> int:
        return self.samples_per_epoch

    def draw(self, number: int, attempt: int = 0) -> Draw:
        """What sample `number` shows; after the attempts before it."""
        epoch, index = divmod(number, self.samples_per_epoch)
        again = (attempt,) if attempt else ()
        rng = np.random.default_rng(np.random.SeedSequence((self.seed, epoch, index, *again)))
        which = int(self.cumulated.searchsorted(rng.random(), side="right"))
        if self.balanced:
            chosen = int(self.drawn[which][self.balanced[which].searchsorted(rng.random(), side="right")])
        else:
            chosen = int(self.drawn[which][rng.integers(len(self.drawn[which]))])
        # Every number is drawn always, so that the probability of merging changes no other draw.
        merges, other, places = rng.random() < self.merge_probability, rng.random(), rng.random(3)
        neighbours = self.neighbours[which][self.sets[which].records[chosen].image]
        if not merges or len(neighbours) < 2:
            return Draw(which, (chosen,), places)
        others = neighbours[neighbours != chosen]
        return Draw(which, (chosen, int(others[int(other * len(others))])), places)

    def __getitem__(self, number: int) -> Instance:
        attempt = 0
        while True:
            drawn = self.draw(number, attempt)
            try:
                return self._read(drawn)
            except DataError as error:
                if self.skips is None:
                    raise
                self.skips.add(drawn.which, self.sets[drawn.which].records[drawn.objects[0]].image, error)
            attempt += 1

    def _read(self, drawn: Draw) -> Instance:
        of = self.sets[drawn.which]
        instance = read_window(of, drawn.objects, self.source_size, drawn.places)
        if not instance.mask.any():
            raise DataError(
                f"{of.source}, image {of.records[drawn.objects[0]].image!r}, instance {instance.id}: its mask has no "
                "pixel that counts. Remove it, or correct its mask."
            )
        return instance


def _probabilities(names: list[str], weights: Mapping[str, float] | None) -> np.ndarray:
    given = dict.fromkeys(names, 1.0) if weights is None else dict(weights)
    if not names:
        raise DataError("There is no training set. Give at least one under `train`.")
    if set(given) != set(names):
        raise DataError(
            f"Training weights are given for {sorted(given)} and the sets are {sorted(names)}. Give every set one weight."
        )
    values = np.array([given[name] for name in names], float)
    if not (np.isfinite(values).all() and (values >= 0).all() and values.sum() > 0):
        raise DataError(f"Training weights are {given}; numbers of 0 or more were expected, at least one above 0.")
    return values / values.sum()


def _large_enough(of: InstanceSet, min_area: int) -> np.ndarray:
    found = np.flatnonzero([record.area >= min_area for record in of.records])
    if not len(found):
        largest = max(record.area for record in of.records)
        raise DataError(
            f"No object of {of.source!r} has {min_area} px² or more (the largest has {largest}). "
            "Lower min_area or leave the set out."
        )
    return found


def _octaves(of: InstanceSet, drawn: np.ndarray) -> np.ndarray:
    """Cumulated probabilities of the objects `drawn` such that each octave of area that has any is as likely as another."""
    octave = np.log2([of.records[index].area for index in drawn]).astype(int)
    weights = 1 / np.bincount(octave)[octave]
    cumulated = weights.cumsum()
    return np.asarray(cumulated / cumulated[-1])


def _by_image(of: InstanceSet, indices: np.ndarray) -> dict[str, np.ndarray]:
    lists: dict[str, list[int]] = defaultdict(list)
    for index in indices:
        lists[of.records[index].image].append(int(index))
    return {image: np.array(each) for image, each in lists.items()}


@final
class EpochSampler(DistributedSampler[int]):
    """Numbers epoch * length + i of one process's samples, in order, from a position on.

    Process r of w takes i = r, r + w, …; after n batches on every process the samples seen are exactly the first ones of the
    epoch, so a position is one number. All processes get equally many; `len` is that of a whole epoch, also where the first one
    starts in its middle.
    It is a `DistributedSampler` because trainers put their own in the place of anything else.

    Args:
        length: samples per epoch of all processes together.
        world_size, rank: number of processes and which one this is.
        epoch, start: where to begin: the epoch, and how many of its samples (of all processes) have been seen.
    """

    def __init__(self, length: int, world_size: int = 1, rank: int = 0, epoch: int = 0, start: int = 0) -> None:
        numbers: Any = range(length)  # all that the base class asks is a length
        super().__init__(numbers, num_replicas=world_size, rank=rank, shuffle=False, drop_last=True)
        self.length, self.epoch, self.start = length, epoch, start

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of `epoch`; the epoch that it is in already goes on where it began."""
        if epoch != self.epoch:
            self.epoch, self.start = epoch, 0

    def __iter__(self) -> Iterator[int]:
        whole = self.length - self.length % self.num_replicas
        first = self.epoch * self.length
        return iter(range(first + self.start + self.rank, first + whole, self.num_replicas))

    def __len__(self) -> int:
        return self.length // self.num_replicas
