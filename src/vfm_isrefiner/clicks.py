"""`Clicks`: what the person (or the simulator) has said so far, for a batch of objects."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

POSITIVE, NEGATIVE, UNUSED = 1, 0, -1


@dataclass(frozen=True)
class Clicks:
    """Clicks of B objects; index order is time order.

    Attributes:
        yx: (B, N, 2) float32, (row, column) in pixels of the image they belong to; pixel centres are whole numbers.
            Sub-pixel and out-of-image positions are allowed (a zoomed crop has both).
        label: (B, N) int8: 1 positive (on the object), 0 negative (off the object), -1 unused slot.

    Raises:
        ValueError: shapes, types or labels are not of this form.
    """

    yx: Tensor
    label: Tensor

    def __post_init__(self) -> None:
        if self.yx.ndim != 3 or self.yx.shape[-1] != 2 or self.yx.dtype != torch.float32:
            raise ValueError(f"Clicks.yx must be float32 of shape (B, N, 2), got {self.yx.dtype} {tuple(self.yx.shape)}.")
        if self.label.shape != self.yx.shape[:2] or self.label.dtype != torch.int8:
            raise ValueError(
                f"Clicks.label must be int8 of shape {tuple(self.yx.shape[:2])} to go with yx, "
                f"got {self.label.dtype} {tuple(self.label.shape)}."
            )
        if self.label.device.type == "cpu" and self.label.numel() and not (-1 <= self.label.min() <= self.label.max() <= 1):
            raise ValueError(
                f"Clicks.label holds 1 (positive), 0 (negative) or -1 (unused), got {self.label.unique().tolist()}."
            )

    @classmethod
    def empty(cls, batch: int, device: torch.device | str = "cpu") -> Clicks:
        """No clicks yet for `batch` objects."""
        return cls(torch.zeros(batch, 0, 2, device=device), torch.zeros(batch, 0, dtype=torch.int8, device=device))

    @property
    def used(self) -> Tensor:
        """(B, N) bool: the slots that hold a click."""
        return self.label != UNUSED

    @property
    def count(self) -> Tensor:
        """(B,) int64: clicks made for each object."""
        return self.used.sum(1)

    def append(self, yx: Tensor, label: Tensor) -> Clicks:
        """One more click per object: `yx` (B, 2), `label` (B,); label -1 leaves that object without a new click."""
        return Clicks(
            torch.cat([self.yx, yx[:, None].to(self.yx)], 1), torch.cat([self.label, label[:, None].to(self.label)], 1)
        )

    def latest(self) -> tuple[Tensor, Tensor, Tensor]:
        """The newest click of each object: `yx` (B, 2), `label` (B,), `slot` (B,); -1 and -1 where there is none."""
        batch, slots = self.label.shape
        if slots == 0:
            nothing = self.label.new_full((batch,), UNUSED)
            return self.yx.new_zeros(batch, 2), nothing, nothing.long()
        order = torch.arange(slots, device=self.label.device).expand(batch, slots)
        slot = torch.where(self.used, order, -1).amax(1)
        row = torch.arange(batch, device=slot.device)
        yx, label = self.yx[row, slot.clamp(min=0)], self.label[row, slot.clamp(min=0)]
        return yx, torch.where(slot >= 0, label, UNUSED), slot

    def to(self, device: torch.device | str) -> Clicks:
        return Clicks(self.yx.to(device), self.label.to(device))

    def rows(self, index: Tensor) -> Clicks:
        """The clicks of the objects that `index` (a mask or indices over B) selects."""
        return Clicks(self.yx[index], self.label[index])

    def flipped(self, width: int) -> Clicks:
        """Positions after mirroring an image of `width` columns left to right."""
        yx = torch.stack([self.yx[..., 0], width - 1 - self.yx[..., 1]], -1)
        return Clicks(yx, self.label)

    def mapped(self, origin: Tensor, scale: Tensor) -> Clicks:
        """Positions in another frame: (yx - origin) * scale, with `origin` and `scale` (B, 2)."""
        return Clicks(((self.yx - origin[:, None]) * scale[:, None]).float(), self.label)

    @staticmethod
    def stack(parts: list[Clicks]) -> Clicks:
        """One batch of several; shorter ones are filled with unused slots."""
        slots = max(part.label.shape[1] for part in parts)
        padded = [part.padded(slots) for part in parts]
        return Clicks(torch.cat([part.yx for part in padded]), torch.cat([part.label for part in padded]))

    def padded(self, slots: int) -> Clicks:
        """With unused slots at the end, up to `slots` in all."""
        missing = slots - self.label.shape[1]
        if missing <= 0:
            return self
        batch = self.label.shape[0]
        return Clicks(
            torch.cat([self.yx, self.yx.new_zeros(batch, missing, 2)], 1),
            torch.cat([self.label, self.label.new_full((batch, missing), UNUSED)], 1),
        )
