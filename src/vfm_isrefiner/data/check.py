"""`check`: a set read completely, one image at a time, with what is in it and every problem of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, final

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from vfm_isrefiner.data.check_image import Examined, examine
from vfm_isrefiner.data.check_report import Problem, Report, area_bins, gsd_counts
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet, InstanceView
from vfm_isrefiner.data.parallel import cores
from vfm_isrefiner.data.selection import Source, opened

Progress = Callable[[int, int], None]
"""Called with how many images are read, and how many there are to read."""

FEW_IMAGES = 64  # are read sooner than worker processes are started


def open_or_report(name: str, source: Source) -> tuple[InstanceSet | None, Report]:
    """The set and an empty report; or None and a report of every fault that opening it met."""
    try:
        return opened(source), Report(name)
    except DataError as error:
        return None, Report(name, problems=tuple(Problem("cannot_open", fault) for fault in error.faults))


def check(
    of: InstanceSet,
    name: str = "",
    limit: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Read images and masks of `of` and report; a fault of one file ends nothing. A process holds one image at a time.

    Args:
        of: the set.
        name: for the report; its source when empty.
        limit: read at most that many images, drawn by `seed`; None reads all.
        workers: processes that read; 0 reads in this one, None takes one a core where there are many images.

    Raises:
        ValueError: `limit` is not at least 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit={limit} leaves no image to check; give 1 or more, or null for all.")
    groups = by_image(of)
    chosen = groups if limit is None else drawn_images(groups, limit, seed)
    found: list[Examined] = []
    for examined in _examined(of, chosen, workers):
        found.append(examined)
        if progress is not None:
            progress(len(found), len(chosen))
    pixels = sum(each.size[0] * each.size[1] for each in found if each.size is not None)
    sizes = Counter(f"{each.size[0]}×{each.size[1]}" for each in found if each.size is not None)
    problems = [
        *(problem for each in found for problem in each.problems),
        *_same_pixels(of.source, found),
        *_unlabelled(of),
    ]
    return Report(
        name=name or of.source,
        images=len(groups),
        instances=len(of),
        checked=len(found),
        sizes=dict(sizes.most_common()),
        categories=dict(Counter(record.category for record in of.records).most_common()),
        areas=area_bins(record.area for record in of.records),
        gsd=gsd_counts(records[0].gsd for records in groups),
        ignored=sum(each.ignored for each in found if each.size is not None) / pixels if pixels else 0.0,
        problems=tuple(problems),
    )


def by_image(of: InstanceSet) -> list[list[InstanceRecord]]:
    """The records of each image, in the order of the set."""
    groups: dict[str, list[InstanceRecord]] = defaultdict(list)
    for record in of.records:
        groups[record.image].append(record)
    return list(groups.values())


def drawn_images(groups: Sequence[list[InstanceRecord]], count: int, seed: int) -> list[list[InstanceRecord]]:
    """At most `count` of `groups`, drawn by `seed`, in their order."""
    if count >= len(groups):
        return list(groups)
    return [groups[position] for position in sorted(np.random.default_rng(seed).choice(len(groups), count, replace=False))]


@final
class _Images(Dataset[Examined]):
    """Examining as reading, so that a loader's workers do it."""

    def __init__(self, of: InstanceSet, groups: Sequence[list[InstanceRecord]]) -> None:
        self.of, self.groups = of, groups
        self.listed = not isinstance(of, InstanceView)  # a view leaves instances out

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, position: int) -> Examined:
        return examine(self.of, self.groups[position], self.listed)


def _examined(of: InstanceSet, groups: Sequence[list[InstanceRecord]], workers: int | None) -> Iterator[Examined]:
    if workers is None:
        workers = 0 if len(groups) < FEW_IMAGES or cores() < 2 else cores()
    yield from DataLoader(
        _Images(of, groups),
        batch_size=None,
        num_workers=workers,
        collate_fn=_as_it_is,
        generator=torch.Generator().manual_seed(0),  # the loader draws a number; the global generator is left as it is
    )


def _as_it_is(examined: Any) -> Any:
    return examined


def _same_pixels(source: str, found: Iterable[Examined]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for each in found:
        twin = first.setdefault(each.digest, each.image) if each.digest else each.image
        if twin != each.image:
            message = f"{source}: the images {twin!r} and {each.image!r} have the same pixels. Remove one of them."
            yield Problem("duplicate_image", message, each.image)


def _unlabelled(of: InstanceSet) -> Iterator[Problem]:
    for image in of.unlabelled_images():
        message = f"{of.source}: the image {image!r} has no instance, so it is never drawn."
        yield Problem("unlabelled_image", message, image)
