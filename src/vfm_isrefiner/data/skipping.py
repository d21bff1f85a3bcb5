"""`Skips`: samples of training that were replaced because a file broke, counted over all worker processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, final

import torch
from torch.utils.data import get_worker_info

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.instance_set import InstanceSet

OnError = Literal["raise", "skip"]


@final
class Skips:
    """Counts of one training process by image, since `taken` last.

    They lie in shared memory, so that what workers count is seen here. Each worker has a row of its own: no count is lost and
    nobody waits.

    Args:
        sets: that samples are drawn from.
        workers: processes that read; 0 reads in this one.
        allowed: more skipped samples than these are an error.
    """

    def __init__(self, sets: Sequence[InstanceSet], workers: int, allowed: int) -> None:
        keys = [(which, record.image) for which, of in enumerate(sets) for record in of.records]
        self._place = {key: place for place, key in enumerate(dict.fromkeys(keys))}
        self._sources = [of.source for of in sets]
        self.allowed = allowed
        self._counts = torch.zeros(max(1, workers), len(self._place), dtype=torch.int32).share_memory_()

    def add(self, which: int, image: str, error: DataError) -> None:
        """Count one sample of `image` of set number `which`.

        Raises:
            DataError: more are skipped than `allowed`.
        """
        worker = get_worker_info()
        self._counts[0 if worker is None else worker.id, self._place[which, image]] += 1
        if int(self._counts.sum()) > self.allowed:
            raise DataError(
                f"More than {self.allowed} samples of an epoch were skipped (data.max_skipped). The last fault: {error} "
                "`isrefiner data check` lists every file that is broken."
            ) from error

    def taken(self) -> dict[str, int]:
        """Skipped samples by "source/image", the most frequent first; counting starts again from 0."""
        total = self._counts.sum(0)
        self._counts.zero_()
        named = {f"{self._sources[which]}/{image}": int(total[place]) for (which, image), place in self._place.items()}
        return {name: count for name, count in sorted(named.items(), key=lambda item: -item[1]) if count}


def told(skipped: dict[str, int], epoch: int, most: int = 10) -> str:
    """The warning of one epoch."""
    each = ", ".join(f"{name} ({count})" for name, count in list(skipped.items())[:most])
    more = f" and {len(skipped) - most} more" if len(skipped) > most else ""
    return (
        f"Epoch {epoch}: {sum(skipped.values())} samples of {len(skipped)} images could not be read and were replaced: "
        f"{each}{more}. `isrefiner data check` says what is wrong with them."
    )
