"""`ResidentSamples`: whole sets on a device, and training batches cut there; the same samples as `TrainingSamples` gives."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet
from vfm_isrefiner.data.memory import free_memory
from vfm_isrefiner.data.resident_images import IGNORED, NOBODY, Images
from vfm_isrefiner.data.sampling import Draw, EpochSampler, TrainingSamples
from vfm_isrefiner.data.windows import placed, united
from vfm_isrefiner.instance import InstanceBatch


@dataclass(frozen=True)
class Place:
    """Where an object lies on the device.

    Attributes:
        start: of its image in `ResidentSamples.pixels`.
        number: its value in its layer.
        layer: start of its layer in `ResidentSamples.layers`; -1 is the layer beside the image's colours.
        pixels: row * width + column of its pixels; None where the image is no larger than a window.
    """

    start: int
    number: int
    layer: int
    pixels: np.ndarray | None


@final
class ResidentSamples:
    """Images and id maps of every object that `samples` can draw, on `device`: four bytes a pixel (red, green, blue and the
    number of the object) as one int32, so that one gather cuts the windows of a whole batch.

    Objects that overlap, and those past the 253rd of an image, lie in further layers of one byte a pixel. All is drawn on the
    CPU by `TrainingSamples.draw`, so batches equal those of the loader on every device; nothing is copied back from the device.
    Of images larger than a window the positions of all object pixels are kept in the memory of the host.

    Args:
        samples: what to draw.
        device: where everything is held.
        readers: processes that read the files at the start; 0 reads them here.

    Raises:
        DataError: the device has not enough memory, a file cannot be read, or two objects of one image ignore different pixels.
    """

    def __init__(self, samples: TrainingSamples, device: torch.device | str = "cpu", readers: int = 0) -> None:
        self.samples, self.device = samples, torch.device(device)
        possible = np.diff(samples.cumulated, prepend=0) > 0
        groups = [groups if some else {} for groups, some in zip(samples.neighbours, possible, strict=True)]
        size = sum(_pixels_of(of, each) for of, images in zip(samples.sets, groups, strict=True) for each in images.values())
        self._check(4 * size, "images and id maps")
        self.pixels = torch.empty(size, dtype=torch.int32, device=self.device)
        self.places: list[dict[int, Place]] = [{} for _ in groups]
        further: list[Tensor] = []
        start, layer = 0, 0
        images = [(of, indices) for of, found in zip(samples.sets, groups, strict=True) for indices in found.values()]
        into = [places for found, places in zip(groups, self.places, strict=True) for _ in found]
        own = torch.Generator()  # or the iterator would draw from that of everybody
        of_all = Images(images, samples.source_size)
        reading = DataLoader(of_all, batch_size=None, num_workers=readers, collate_fn=_as_it_is, generator=own)
        for places, read in zip(into, reading, strict=True):
            if isinstance(read, DataError):
                raise read
            self.pixels[start : start + len(read.packed)] = torch.from_numpy(read.packed).to(self.device)
            for index, (which, number, kept) in read.objects.items():
                place = -1 if which == 0 else layer + (which - 1) * len(read.packed)
                places[index] = Place(start, number, place, kept)
            further += [torch.from_numpy(each) for each in read.further]
            layer += sum(len(each) for each in read.further)
            start += len(read.packed)
        self._check(layer, "further layers of overlapping objects")
        self.layers = torch.cat(further).to(self.device) if further else None

    def _check(self, needed: int, what: str) -> None:
        free = free_memory(self.device)
        if needed > free:
            raise DataError(
                f"The training sets do not fit onto {self.device}: {what} need {needed / 2**30:.2f} GiB and {free / 2**30:.2f} "
                "GiB are free. Take data.resident=false, or fewer or smaller sets."
            )

    def batch(self, numbers: Sequence[int]) -> InstanceBatch:
        """The samples of `numbers`, on the device; equal to `InstanceBatch.collate` of `TrainingSamples`."""
        draws = [self.samples.draw(number) for number in numbers]
        records = [[self.samples.sets[draw.which].records[index] for index in draw.objects] for draw in draws]
        corners = [self._corner(draw, found[0]) for draw, found in zip(draws, records, strict=True)]
        first = [found[0] for found in records]
        places = [[self.places[draw.which][index] for index in draw.objects] for draw in draws]
        sides = [tuple(min(side, self.samples.source_size) for side in record.size) for record in first]
        table = self._moved(
            [(at[0].start + top * record.size[1] + left, record.size[1], *shown, *_numbers(at))
             for at, (top, left), shown, record in zip(places, corners, sides, first, strict=True)]
        )  # fmt: skip
        size = table[:, 2:4]
        inside, index = _grid(table, max(side[0] for side in sides), max(side[1] for side in sides))
        shown = self.pixels.take(index).view(torch.uint8).unflatten(-1, (-1, 4))
        ids, numbers_of = shown[..., 3], table[:, 4:6].to(torch.uint8)
        mask = (ids == numbers_of[:, :1, None]) | (ids == numbers_of[:, 1:, None])
        self._add_further(mask, index, places)
        image = shown[..., :3].permute(0, 3, 1, 2).contiguous() * inside[:, None]
        return InstanceBatch(
            image,
            (mask & inside)[:, None],
            ((ids == IGNORED) | ~inside)[:, None],
            size,
            tuple("+".join(record.id for record in found) for found in records),
            tuple(self.samples.sets[draw.which].source for draw in draws),
            tuple(record.category for record in first),
            self._moved([record.gsd for record in first]),
        )

    def _corner(self, draw: Draw, record: InstanceRecord) -> tuple[int, int]:
        """First row and column of the window; `windows.read_window` decides in the same way."""
        found = [self.places[draw.which][index].pixels for index in draw.objects]
        lists = [pixels for pixels in found if pixels is not None]
        if not lists:
            return 0, 0
        return placed(united(lists), record.size, self.samples.source_size, draw.places)

    def _add_further(self, mask: Tensor, index: Tensor, places: list[list[Place]]) -> None:
        """Objects of further layers join `mask` (B, h, w)."""
        for k in (0, 1):
            found = [
                (row, each[k].layer - each[k].start, each[k].number)
                for row, each in enumerate(places)
                if k < len(each) and each[k].layer >= 0
            ]
            if found and self.layers is not None:
                rows, shift, number = self._moved(found).T
                mask[rows] |= self.layers.take(index[rows] + shift[:, None, None]) == number[:, None, None]

    def _moved(self, values: Sequence) -> Tensor:
        """On the device, without waiting for it."""
        tensor = torch.tensor(values)
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else tensor.to(self.device)


def _as_it_is(read: Any) -> Any:
    return read


def _pixels_of(of: InstanceSet, indices: np.ndarray) -> int:
    height, width = of.records[indices[0]].size
    return height * width


def _numbers(places: list[Place]) -> tuple[int, int]:
    """Values of the one or two objects in the first layer, `NOBODY` where there is none."""
    found = [at.number if at.layer < 0 else NOBODY for at in places]
    return found[0], found[1] if len(found) > 1 else NOBODY


def _grid(table: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Which pixels of (B, height, width) lie in their window, and the position of each; outside of it that of the border."""
    y, x = (torch.arange(side, device=table.device) for side in (height, width))
    start, stride, rows, columns = table[:, :4, None].unbind(1)
    inside = (y < rows)[:, :, None] & (x < columns)[:, None]
    return inside, (start + stride * y.minimum(rows - 1))[:, :, None] + x.minimum(columns - 1)[:, None]


@final
class ResidentLoader:
    """Batches of `ResidentSamples` in the order of a sampler; incomplete ones are left out.

    Takes the place of a DataLoader in training; the data module keeps its position.
    """

    def __init__(self, samples: ResidentSamples, batch_size: int, sampler: EpochSampler) -> None:
        self.samples, self.batch_size, self.sampler = samples, batch_size, sampler
        self.dataset = samples.samples

    def __len__(self) -> int:
        return len(self.sampler) // self.batch_size

    def __iter__(self) -> Iterator[InstanceBatch]:
        numbers = list(self.sampler)
        batches = [numbers[at : at + self.batch_size] for at in range(0, len(numbers) - self.batch_size + 1, self.batch_size)]
        with ThreadPoolExecutor(1) as drawer:  # the next batch is drawn while the host waits for the device
            coming = deque(drawer.submit(self.samples.batch, batch) for batch in batches[:1])
            for batch in batches[1:]:
                ready = coming.popleft().result()
                coming.append(drawer.submit(self.samples.batch, batch))
                yield ready
            yield from (last.result() for last in coming)

    def state_dict(self) -> dict[str, int]:
        return {}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """The sampler starts at the data module's position already."""
