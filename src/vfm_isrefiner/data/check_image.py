"""`examine`: one image of a set read completely, with everything that is wrong with it and with its instances."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfm_isrefiner.data.check_report import Problem
from vfm_isrefiner.data.components import regions
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.id_map import IdMap
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet

Box = tuple[int, int, int, int]

LARGEST_ID = 2**31 - 1
DRAWN_BOX = 2  # pixels by which an edge of a drawn outline's box may be off: both ends are rounded


@dataclass(frozen=True)
class Examined:
    """What one image gave.

    Attributes:
        image: its name. size: (height, width), or None where it cannot be read.
        digest: of its pixels, "" where it cannot be read.
        ignored: pixels to ignore.
        problems: of the image and its instances.
    """

    image: str
    size: tuple[int, int] | None
    digest: str
    ignored: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _Seen:
    """An instance as its pixels show it: area and box, pixels that are not ignored, and how far a record may be from both."""

    area: int
    bbox: Box
    kept: int
    digest: str = ""
    area_off: int = 0
    box_off: int = 0


def examine(of: InstanceSet, records: Sequence[InstanceRecord], listed: bool = False) -> Examined:
    """Read the image of `records`, all of one image, and each of their masks.

    Args:
        listed: `records` are all that its image has, so that other ids in its map are worth a word.
    """
    first, size, digest = records[0], None, ""
    problems: list[Problem] = []
    try:
        image = of.read_image(first)
        size, digest = (int(image.shape[1]), int(image.shape[2])), _image_digest(image)
        del image
    except DataError as error:
        problems.append(Problem("unreadable", str(error), first.image))
    ignored = 0
    try:
        ids = of.read_id_map(first)
        if ids is None:
            found, ignored = _drawn(of, records, size)
        else:
            found, ignored = _mapped(of, records, size, ids, listed)
        problems += found
    except DataError as error:
        problems.append(Problem("unreadable", str(error), first.image))
    problems += [problem for record in records for problem in _of_record(record)]
    return Examined(first.image, size, digest, ignored, tuple(dict.fromkeys(problems)))


def _mapped(
    of: InstanceSet, records: Sequence[InstanceRecord], size: tuple[int, int] | None, ids: IdMap, listed: bool
) -> tuple[list[Problem], int]:
    """Problems of instances that an id map holds, and the number of ignored pixels."""
    shape = (int(ids.ids.shape[0]), int(ids.ids.shape[1]))
    ignore = ids.ignore()
    wrong = _size_problem(of, records, size or shape, shape)
    if wrong:
        return wrong, int(ignore.sum())
    present = {region.id: region for region in regions(ids.ids)}
    kept = None
    if ids.nodata is not None:
        shown = np.where(ignore[0].numpy(), 0, ids.ids.numpy())
        kept = {region.id: region.area for region in regions(torch.from_numpy(shown))}
    problems: list[Problem] = []
    for record in records:
        region = present.pop(record.instance, None)
        area, box = (0, (0, 0, 0, 0)) if region is None else (region.area, region.bbox)
        seen = _Seen(area, box, area if kept is None else kept.get(record.instance, 0))
        problems += _of_instance(of, record, seen)
    if listed:
        problems += [
            Problem(
                "unlisted_id",
                f"{of.source}, image {records[0].image!r}: its mask holds {region.area} pixels of {number}, which its "
                "index does not list: they count as background. List it, or give it as the value to ignore.",
                records[0].image,
            )
            for number, region in present.items()
            if number != ids.ignored
        ]
    return problems, int(ignore.sum())


def _drawn(of: InstanceSet, records: Sequence[InstanceRecord], size: tuple[int, int] | None) -> tuple[list[Problem], int]:
    """Problems of instances whose masks are read one by one, and the number of ignored pixels."""
    problems: list[Problem] = []
    same: dict[str, InstanceRecord] = {}
    ignored = 0
    for record in records:
        try:
            mask, ignore = of.read_mask(record)
        except DataError as error:
            kind = "size_mismatch" if size is not None and size != record.size else "unreadable"
            problems.append(Problem(kind, str(error), record.image))  # its file is told once
            continue
        shape = (int(mask.shape[1]), int(mask.shape[2]))
        wrong = _size_problem(of, [record], size or shape, shape)
        if not ignored:  # the same for all of an image
            ignored = int(np.count_nonzero(ignore.numpy()))
        if wrong:
            problems += wrong
            continue
        seen = _seen(mask[0].numpy(), ignore[0].numpy())
        problems += _of_instance(of, record, seen)
        twin = same.setdefault(seen.digest, record) if seen.area else record
        if twin is not record:
            message = f"{of.source}, image {record.image!r}: {twin.id} and {record.id} have the same mask. Remove one of them."
            problems.append(Problem("duplicate_instance", message, record.image, record.id))
    return problems, ignored


def _seen(mask: NDArray[np.bool_], ignore: NDArray[np.bool_]) -> _Seen:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return _Seen(0, (0, 0, 0, 0), 0)
    top, left = int(rows[0]), int(columns[0])
    box = (left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1)
    part = np.s_[top : top + box[3], left : left + box[2]]
    own = mask[part]
    area = int(np.count_nonzero(own))
    inner = cv2.erode(np.pad(own, 1).astype(np.uint8), np.ones((3, 3), np.uint8))
    digest = hashlib.blake2b(np.packbits(own).tobytes() + repr(box).encode(), digest_size=16).hexdigest()
    # The area of an outline and that of the pixels it draws differ by no more than the pixels that it touches.
    kept = int(np.count_nonzero(own & ~ignore[part]))
    return _Seen(area, box, kept, digest, area - int(np.count_nonzero(inner)), DRAWN_BOX)


def _size_problem(
    of: InstanceSet, records: Sequence[InstanceRecord], image: tuple[int, int], mask: tuple[int, int]
) -> list[Problem]:
    for record in records:
        try:
            of.check_sizes(record, image, mask)
        except DataError as error:
            return [Problem("size_mismatch", str(error), record.image)]
    return []


def _of_instance(of: InstanceSet, record: InstanceRecord, seen: _Seen) -> Iterator[Problem]:
    where = f"{of.source}, image {record.image!r}, instance {record.id}"
    if not seen.kept:
        why = "every pixel is ignored" if seen.area else "its mask has no pixel"
        yield Problem("empty_instance", f"{where}: {why}. Remove it, or correct its mask.", record.image, record.id)
        if not seen.area:
            return
    if abs(seen.area - record.area) > seen.area_off:
        message = f"{where}: its area is given as {record.area} and its mask has {seen.area} pixels. Correct the index."
        yield Problem("wrong_area", message, record.image, record.id)
    edges = (np.array(_edges(each)).clip(0, [record.size[1], record.size[0]] * 2) for each in (record.bbox, seen.bbox))
    given, drawn = edges
    if np.abs(given - drawn).max() > seen.box_off:
        message = (
            f"{where}: its box is given as {list(record.bbox)} and its mask lies in {list(seen.bbox)} (x, y, width, height). "
            "Correct the index."
        )
        yield Problem("wrong_box", message, record.image, record.id)
    if seen.kept == record.size[0] * record.size[1]:
        yield Problem("whole_image", f"{where}: it covers the whole image.", record.image, record.id)


def _of_record(record: InstanceRecord) -> Iterator[Problem]:
    """What needs no pixel."""
    where = f"image {record.image!r}, instance {record.id}"
    if not 0 <= record.instance <= LARGEST_ID:
        message = f"{where}: its number {record.instance} is not from 0 to {LARGEST_ID}. Number the instances again."
        yield Problem("id_out_of_range", message, record.image, record.id)
    left, top, right, bottom = _edges(record.bbox)
    if left < -1 or top < -1 or right > record.size[1] + 1 or bottom > record.size[0] + 1:
        message = (
            f"{where}: its box {list(record.bbox)} (x, y, width, height) reaches out of its image of "
            f"{record.size[0]}×{record.size[1]} (height×width). Cut it at the border."
        )
        yield Problem("outside_image", message, record.image, record.id)


def _edges(box: Box) -> Box:
    """(left, top, right, bottom), the last two being behind the last pixel."""
    return box[0], box[1], box[0] + box[2], box[1] + box[3]


def _image_digest(image: Tensor) -> str:
    digest = hashlib.blake2b(repr(tuple(image.shape)).encode(), digest_size=16)
    for channel in image:
        digest.update(channel.contiguous().numpy())
    return digest.hexdigest()
