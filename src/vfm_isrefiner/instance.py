"""`Instance` and `InstanceBatch`: one object of one image, and a batch of them; the currency of every data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Instance:
    """One object to segment in one image.

    Attributes:
        image: (3, H, W) uint8 RGB.
        mask: (1, H, W) bool, the object.
        ignore: (1, H, W) bool, pixels that count neither as object nor as background.
        id: unique within its source and stable from run to run, such as "P0003_12/57".
        source: name of the data set, such as "isaid".
        category: class name, "" when the source has none.
        gsd: ground sampling distance in metres per pixel, NaN when unknown.

    Raises:
        ValueError: a tensor has another shape or type.
    """

    image: Tensor
    mask: Tensor
    ignore: Tensor
    id: str
    source: str
    category: str = ""
    gsd: float = float("nan")

    def __post_init__(self) -> None:
        if self.image.dtype != torch.uint8 or self.image.ndim != 3 or self.image.shape[0] != 3:
            raise ValueError(
                f"Instance.image of {self.source} {self.id!r} must be uint8 (3, H, W), "
                f"got {self.image.dtype} {tuple(self.image.shape)}."
            )
        for name in ("mask", "ignore"):
            tensor: Tensor = getattr(self, name)
            if tensor.dtype != torch.bool or tensor.shape != (1, *self.image.shape[1:]):
                raise ValueError(
                    f"Instance.{name} of {self.source} {self.id!r} must be bool {(1, *self.image.shape[1:])} like its image, "
                    f"got {tensor.dtype} {tuple(tensor.shape)}."
                )


@dataclass(frozen=True)
class InstanceBatch:
    """B instances, padded at the bottom and the right to one size.

    Attributes:
        image: (B, 3, H, W) uint8 RGB.
        mask: (B, 1, H, W) bool.
        ignore: (B, 1, H, W) bool; padding is ignored.
        size: (B, 2) int64, height and width before padding.
        id, source, category: B strings each.
        gsd: (B,) float32, metres per pixel or NaN.
    """

    image: Tensor
    mask: Tensor
    ignore: Tensor
    size: Tensor
    id: tuple[str, ...]
    source: tuple[str, ...]
    category: tuple[str, ...]
    gsd: Tensor

    def __post_init__(self) -> None:
        batch, _, height, width = self.image.shape
        if self.image.dtype != torch.uint8 or self.image.shape[1] != 3:
            raise ValueError(
                f"InstanceBatch.image must be uint8 (B, 3, H, W), got {self.image.dtype} {tuple(self.image.shape)}."
            )
        for name in ("mask", "ignore"):
            tensor: Tensor = getattr(self, name)
            if tensor.dtype != torch.bool or tensor.shape != (batch, 1, height, width):
                raise ValueError(
                    f"InstanceBatch.{name} must be bool {(batch, 1, height, width)}, got {tensor.dtype} {tuple(tensor.shape)}."
                )
        if not len(self.id) == len(self.source) == len(self.category) == len(self.gsd) == len(self.size) == batch:
            raise ValueError(f"InstanceBatch of {batch} images needs {batch} ids, sources, categories, gsd values and sizes.")

    def __len__(self) -> int:
        return self.image.shape[0]

    @classmethod
    def collate(cls, instances: list[Instance]) -> InstanceBatch:
        """Stack instances of any sizes; the smaller are padded with zeros at the bottom and right, and ignored there."""
        heights = [item.image.shape[1] for item in instances]
        widths = [item.image.shape[2] for item in instances]
        batch, height, width = len(instances), max(heights), max(widths)
        image = torch.zeros(batch, 3, height, width, dtype=torch.uint8)
        mask = torch.zeros(batch, 1, height, width, dtype=torch.bool)
        ignore = torch.ones(batch, 1, height, width, dtype=torch.bool)
        for row, item in enumerate(instances):
            h, w = heights[row], widths[row]
            image[row, :, :h, :w], mask[row, :, :h, :w], ignore[row, :, :h, :w] = item.image, item.mask, item.ignore
        return cls(
            image,
            mask,
            ignore,
            torch.tensor(list(zip(heights, widths, strict=True))),
            tuple(item.id for item in instances),
            tuple(item.source for item in instances),
            tuple(item.category for item in instances),
            torch.tensor([item.gsd for item in instances]),
        )

    def to(self, device: torch.device | str, non_blocking: bool = False) -> InstanceBatch:
        """The same batch with its tensors on `device`."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> InstanceBatch:
        """Page-locked copy, for the DataLoader's `pin_memory`."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, move: Callable[[Tensor], Tensor]) -> InstanceBatch:
        return replace(
            self,
            image=move(self.image),
            mask=move(self.mask),
            ignore=move(self.ignore),
            size=move(self.size),
            gsd=move(self.gsd),
        )
