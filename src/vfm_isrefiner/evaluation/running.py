"""`Running`: the instances of an evaluation that are clicked on together, joining and leaving one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from vfm_isrefiner.click_simulation import next_click
from vfm_isrefiner.clicks import POSITIVE, Clicks
from vfm_isrefiner.evaluation.result import ALL_IGNORED, BOUNDARY_CLICKS, EMPTY, FULL_IMAGE, OK, InstanceResult
from vfm_isrefiner.instance import Instance, InstanceBatch
from vfm_isrefiner.interaction import ImageFeatures, Interaction
from vfm_isrefiner.metrics import boundary_iou, iou
from vfm_isrefiner.rollout import NextClick, Segmenter


def described(index: int, instance: Instance) -> InstanceResult:
    """The result of an instance before its first click: what it is, and whether it can be clicked at all."""
    counted = ~instance.ignore[0]
    inside = instance.mask[0] & counted
    rows, columns = inside.any(1).nonzero().flatten(), inside.any(0).nonzero().flatten()
    bbox, status = (0, 0, 0, 0), OK
    if not counted.any():
        status = ALL_IGNORED
    elif len(rows) == 0:
        status = EMPTY
    else:
        top, left = int(rows[0]), int(columns[0])
        bbox = (top, left, int(rows[-1]) - top + 1, int(columns[-1]) - left + 1)
        status = FULL_IMAGE if torch.equal(inside, counted) else OK
    image = instance.id.rpartition("/")[0] or instance.id  # ids are image/number
    return InstanceResult(index, instance.id, instance.source, instance.category, image, int(inside.sum()), bbox, status)


def clicker(mask: Tensor, ignore: Tensor, threshold: float) -> NextClick:
    """The evaluation's next click, on predictions cut at `threshold` (strictly above is object)."""

    def click(interaction: Interaction) -> tuple[Tensor, Tensor]:
        return next_click(interaction.prob > threshold, mask, ignore, interaction.clicks)

    return click


@dataclass
class Record:
    """What is written down of one instance while it runs."""

    result: InstanceResult
    size: tuple[int, int]
    ious: list[float] = field(default_factory=list)
    boundary_ious: list[float] = field(default_factory=list)
    seconds_network: float = 0.0
    seconds_rest: float = 0.0

    def finished(self, clicks: Clicks) -> InstanceResult:
        """The result, with its `clicks` (of one object, moved to the CPU)."""
        used = clicks.used[0]
        yx, positive = clicks.yx[0, used].tolist(), (clicks.label[0, used] == POSITIVE).tolist()
        return replace(
            self.result,
            ious=tuple(self.ious),
            boundary_ious=tuple(self.boundary_ious),
            clicks=tuple((y, x, sign) for (y, x), sign in zip(yx, positive, strict=True)),
            seconds_network=self.seconds_network,
            seconds_rest=self.seconds_rest,
        )


@final
@dataclass(frozen=True)
class Running:
    """Instances at any number of clicks, in tensors of one size.

    Attributes:
        interaction: their state. mask, ignore: (B, 1, H, W) bool, padding ignored. records: one each, written to by `score`.
    """

    interaction: Interaction
    mask: Tensor
    ignore: Tensor
    records: tuple[Record, ...]

    @staticmethod
    def start(
        segmenter: Segmenter, instances: Sequence[Instance], results: Sequence[InstanceResult], device: torch.device | str
    ) -> Running:
        """Instances before their first click."""
        batch = InstanceBatch.collate(list(instances)).to(device)
        records = tuple(
            Record(result, (instance.image.shape[1], instance.image.shape[2]))
            for result, instance in zip(results, instances, strict=True)
        )
        return Running(segmenter.start(batch.image, batch.size), batch.mask, batch.ignore, records)

    def __len__(self) -> int:
        return len(self.records)

    def score(self, interaction: Interaction, threshold: float) -> None:
        """Write down how good the predictions of `interaction`, one click further, are."""
        pred = interaction.prob > threshold
        for record, value in zip(self.records, iou(pred, self.mask, self.ignore).tolist(), strict=True):
            record.ious.append(value)
        groups: dict[tuple[int, int], list[int]] = {}
        for row, record in enumerate(self.records):
            if len(record.ious) in BOUNDARY_CLICKS:
                groups.setdefault(record.size, []).append(row)
        for (height, width), rows in groups.items():  # the band is as wide as the image, without padding, says
            part, mask, ignore = (tensor[rows, :, :height, :width] for tensor in (pred, self.mask, self.ignore))
            for row, value in zip(rows, boundary_iou(part, mask, ignore).tolist(), strict=True):
                self.records[row].boundary_ious.append(value)

    def spend(self, network: float, rest: float) -> None:
        """Share out the seconds of one round."""
        for record in self.records:
            record.seconds_network += network / len(self)
            record.seconds_rest += rest / len(self)

    def leaving(self, rows: Sequence[int]) -> list[InstanceResult]:
        """The finished results of these rows."""
        clicks = self.interaction.clicks.to("cpu")
        return [self.records[row].finished(clicks.rows(torch.tensor([row]))) for row in rows]

    def staying(self, rows: Sequence[int]) -> Running | None:
        """The others, or None where there is none."""
        if not rows:
            return None
        index = torch.tensor(rows, device=self.mask.device)
        records = tuple(self.records[row] for row in rows)
        return Running(self.interaction.rows(index), self.mask[index], self.ignore[index], records)

    def joined(self, other: Running) -> Running:
        """Both in one batch, of the size of the largest image still in it."""
        records = self.records + other.records
        size = (max(record.size[0] for record in records), max(record.size[1] for record in records))
        parts = (self, other)
        return Running(
            _stacked([part.interaction for part in parts], size),
            torch.cat([_canvas(part.mask, size) for part in parts]),
            torch.cat([_canvas(part.ignore, size, True) for part in parts]),
            records,
        )


def _stacked(parts: list[Interaction], size: tuple[int, int]) -> Interaction:
    return Interaction(
        torch.cat([_canvas(part.image, size) for part in parts]),
        torch.cat([part.size for part in parts]),
        _gathered(Clicks.stack([part.clicks for part in parts])),
        torch.cat([_canvas(part.prob, size) for part in parts]),
        torch.cat([part.roi for part in parts if part.roi is not None]),
        _features([part.features for part in parts]),
        _features([part.flipped for part in parts]),
    )


def _features(parts: list[ImageFeatures | None]) -> ImageFeatures | None:
    """Those of all, or None where some have none or networks saw them at several sizes: then they are encoded again."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or len({part.image.shape[-2:] for part in known}) > 1:
        return None
    return ImageFeatures.stack(known)


def _canvas(x: Tensor, size: tuple[int, int], value: bool = False) -> Tensor:
    """Cut or padded at the bottom and right to `size`."""
    x = x[..., : size[0], : size[1]]
    return F.pad(x, (0, size[1] - x.shape[-1], 0, size[0] - x.shape[-2]), value=value)


def _gathered(clicks: Clicks) -> Clicks:
    """The same clicks without gaps, or those who stay would collect unused slots for ever."""
    order = clicks.used.int().argsort(dim=1, descending=True, stable=True)[:, : int(clicks.count.max())]
    return Clicks(clicks.yx.gather(1, order[..., None].expand(-1, -1, 2)), clicks.label.gather(1, order))
