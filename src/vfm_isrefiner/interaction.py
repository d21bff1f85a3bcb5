"""`Interaction`: what one round of interactive segmentation hands to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vfm_isrefiner.clicks import Clicks


@dataclass(frozen=True)
class ImageFeatures:
    """What a network computes from the image alone; encoded once per image or crop, never per click.

    Attributes:
        image: (B, 3, H, W) float, the network's own normalised input.
        patches: (B, h*w, C) patch embedding of the image with positions, or None where a network has none.
        ife: (B, h*w, C) tokens of F_IFE, or None where a network has none.
        ife_kv: (B, h*w, 2C) their key and value projections for eq. 2, or None.
    """

    image: Tensor
    patches: Tensor | None = None
    ife: Tensor | None = None
    ife_kv: Tensor | None = None

    def rows(self, index: Tensor) -> ImageFeatures:
        """The features of the images that `index` (a mask or indices over B) selects."""
        return self.each(lambda tensor: tensor[index])

    def each(self, change: Callable[[Tensor], Tensor]) -> ImageFeatures:
        """With every tensor changed alike."""
        patches, ife, ife_kv = (None if part is None else change(part) for part in (self.patches, self.ife, self.ife_kv))
        return ImageFeatures(change(self.image), patches, ife, ife_kv)

    def updated(self, index: Tensor, new: ImageFeatures) -> ImageFeatures:
        """A copy in which the rows of `index` (B,) bool are those of `new`, in order."""

        def put(old: Tensor, fresh: Tensor) -> Tensor:
            result = old.clone()
            result[index] = fresh.to(old.dtype)
            return result

        def put_if_any(old: Tensor | None, fresh: Tensor | None) -> Tensor | None:
            return old if old is None or fresh is None else put(old, fresh)

        return ImageFeatures(
            put(self.image, new.image),
            put_if_any(self.patches, new.patches),
            put_if_any(self.ife, new.ife),
            put_if_any(self.ife_kv, new.ife_kv),
        )

    @staticmethod
    def stack(parts: list[ImageFeatures]) -> ImageFeatures:
        """One batch of several."""

        def join(name: str) -> Tensor | None:
            tensors = [getattr(part, name) for part in parts]
            return None if tensors[0] is None else torch.cat(tensors)

        image = torch.cat([part.image for part in parts])
        return ImageFeatures(image, join("patches"), join("ife"), join("ife_kv"))


@dataclass(frozen=True)
class Interaction:
    """The state of B running objects.

    Attributes:
        image: (B, 3, H, W) uint8 RGB, padded at the bottom and right where sizes differ.
        size: (B, 2) int64, height and width before padding.
        clicks: all clicks so far, in pixels of `image`.
        prob: (B, 1, H, W) float32 in [0, 1], the latest prediction; zeros before the first click.
        roi: (B, 4) int64, first row, last row, first column, last column (inclusive) of the crop that the network saw,
            or None before a segmenter has looked.
        features: what the network computed from the image (or its crop) alone, or None.
        flipped: the same of the mirrored image, where flip averaging is on.

    Raises:
        ValueError: sizes do not agree.
    """

    image: Tensor
    size: Tensor
    clicks: Clicks
    prob: Tensor
    roi: Tensor | None = None
    features: ImageFeatures | None = None
    flipped: ImageFeatures | None = None

    def __post_init__(self) -> None:
        batch, _, height, width = self.image.shape
        if self.prob.shape != (batch, 1, height, width):
            raise ValueError(
                f"Interaction.prob must be {(batch, 1, height, width)} like its image, got {tuple(self.prob.shape)}."
            )
        if len(self.clicks.label) != batch:
            raise ValueError(f"Interaction of {batch} images got clicks of {len(self.clicks.label)} objects.")

    @classmethod
    def begin(cls, image: Tensor, size: Tensor | None = None) -> Interaction:
        """No click yet: zero probability on `image` (B, 3, H, W) uint8."""
        batch, _, height, width = image.shape
        if size is None:
            size = torch.tensor([[height, width]], device=image.device).expand(batch, 2)
        prob = torch.zeros(batch, 1, height, width, device=image.device)
        return cls(image, size, Clicks.empty(batch, image.device), prob)

    def __len__(self) -> int:
        return self.image.shape[0]

    def rows(self, index: Tensor) -> Interaction:
        """The interactions of the objects that `index` (a mask or indices over B) selects."""
        return Interaction(
            self.image[index],
            self.size[index],
            self.clicks.rows(index),
            self.prob[index],
            None if self.roi is None else self.roi[index],
            None if self.features is None else self.features.rows(index),
            None if self.flipped is None else self.flipped.rows(index),
        )

    def with_prob(self, prob: Tensor) -> Interaction:
        """The same with another probability map, such as a mask to start editing from."""
        return replace(self, prob=prob)
