"""Augmentation of whole batches on the device that holds them: one affine warp and one change of light per row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, final

import torch
from kornia.geometry.transform import warp_affine
from torch import Tensor

from vfm_isrefiner.instance import InstanceBatch

FEWEST_PIXELS = 64  # an augmented crop shows so many of the object, or half of it where it is smaller


class Augmentation(Protocol):
    """Source windows in, crops of one size out; the same seed gives the same crops."""

    @property
    def crop_size(self) -> int:
        """Side of the crops in pixels."""
        ...

    @property
    def source_size(self) -> int:
        """Side of the windows that it cuts the crops from, in pixels."""
        ...

    def __call__(self, batch: InstanceBatch, seed: int) -> InstanceBatch: ...


@final
@dataclass(frozen=True)
class PaperAugmentation:
    """The paper's recipe ("rotation, flip, brightness, RGB") with the ranges of the released code.

    Resize, flips, quarter turns, a small rotation with a shift, and the crop are one affine map per row, so that pixels are
    interpolated once (image bilinear, mask and ignore nearest); what comes from outside of the image is ignored. The crop lies
    at random inside of the image where the image is large enough, and so that a random pixel of the object lies in its middle
    80 % (border permitting). A row that would lose its object gets the plain crop of `NoAugmentation`.

    Attributes:
        crop_size: side of the result in pixels.
        scale: range of the resize.
        flip: probability of each of the two flips.
        rotation, shift, rotation_probability: small rotation in ± degrees and shift in ± parts of the crop.
        brightness, contrast, light_probability: image * (1 + contrast) + brightness, in [0, 1].
        rgb_shift, rgb_probability: one shift in ± for each channel, in [0, 1].
    """

    crop_size: int = 448
    scale: tuple[float, float] = (0.75, 1.25)
    flip: float = 0.5
    rotation: float = 3.0
    shift: float = 0.03
    rotation_probability: float = 0.75
    brightness: tuple[float, float] = (-0.25, 0.25)
    contrast: tuple[float, float] = (-0.15, 0.4)
    light_probability: float = 0.75
    rgb_shift: float = 10 / 255
    rgb_probability: float = 0.75

    def __post_init__(self) -> None:
        _check_crop(self.crop_size)
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"PaperAugmentation.scale must be two positive numbers in order, got {tuple(self.scale)}.")

    @property
    def source_size(self) -> int:
        """The smallest scale sees crop / scale pixels; turned and shifted, a little more."""
        return math.ceil(self.crop_size / self.scale[0] * (1 + math.sin(math.radians(self.rotation)) + 2 * self.shift))

    def __call__(self, batch: InstanceBatch, seed: int) -> InstanceBatch:
        # Drawn on the CPU, so that every device makes the same crops.
        drawn = torch.rand(len(batch), 18, generator=torch.Generator().manual_seed(seed)).to(
            batch.image.device, non_blocking=True
        )
        place, geometry, light = drawn[:, :3], drawn[:, 3:10], drawn[:, 10:]
        scale = _between(geometry[:, 0], *self.scale)
        turn = self._turn(geometry)
        side = self.crop_size / scale
        anchor = _object_pixel(batch.mask, place[:, 0])
        shift = (2 * geometry[:, 5:7] - 1) * self.shift * (geometry[:, 4:5] < self.rotation_probability)
        centre = _crop_centre(anchor, batch.size, side, 2 * place[:, 1:] - 1) + shift * side[:, None]
        kept = _warped(batch.mask, _affine(centre, scale, turn, self.crop_size), self.crop_size).sum((1, 2, 3))
        needed = (batch.mask.sum((1, 2, 3)) * scale.square() / 2).clamp(max=FEWEST_PIXELS)
        lost = kept < needed
        plain = _plain_affine(batch, self.crop_size)
        matrix = torch.where(lost[:, None, None], plain, _affine(centre, scale, turn, self.crop_size))
        return _crop(batch, matrix, self.crop_size, torch.where(lost, 1.0, scale), *self._light(light))

    def _turn(self, drawn: Tensor) -> Tensor:
        """(B, 2, 2) on (x, y): quarter turns, the small rotation, flips."""
        quarter = (drawn[:, 1] * 4).floor() * (math.pi / 2)
        small = math.radians(self.rotation) * (2 * drawn[:, 3] - 1) * (drawn[:, 4] < self.rotation_probability)
        sine, cosine = (quarter + small).sin(), (quarter + small).cos()
        turn = torch.stack([torch.stack([cosine, -sine], -1), torch.stack([sine, cosine], -1)], -2)
        return turn * torch.where(_flips(drawn[:, 2], self.flip), -1.0, 1.0)[:, :, None]

    def _light(self, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Factor (B, 1) and summand (B, 3) of the channels, of values in [0, 255]."""
        on = (drawn[:, :1] < self.light_probability).float()
        factor = 1 + on * _between(drawn[:, 1:2], *self.contrast)
        shift = self.rgb_shift * (2 * drawn[:, 4:7] - 1) * (drawn[:, 3:4] < self.rgb_probability)
        return factor, 255 * (on * _between(drawn[:, 2:3], *self.brightness) + shift)


@final
@dataclass(frozen=True)
class NoAugmentation:
    """A crop at full resolution around the middle pixel of the object, inside of the image where that is large enough.

    Attributes:
        crop_size: side of the result in pixels.
    """

    crop_size: int = 448

    def __post_init__(self) -> None:
        _check_crop(self.crop_size)

    @property
    def source_size(self) -> int:
        """A window is the crop already."""
        return self.crop_size

    def __call__(self, batch: InstanceBatch, seed: int = 0) -> InstanceBatch:
        ones = batch.gsd.new_ones(len(batch))
        return _crop(batch, _plain_affine(batch, self.crop_size), self.crop_size, ones, ones[:, None], ones[:, None] * 0)


def _check_crop(size: int) -> None:
    if size < 1:
        raise ValueError(f"crop_size must be at least 1 pixel, got {size}.")


def _between(drawn: Tensor, low: float, high: float) -> Tensor:
    return low + drawn * (high - low)


def _flips(drawn: Tensor, probability: float) -> Tensor:
    """(B, 2) bool from one draw each: mirror x, mirror y, independent of each other."""
    first = drawn < probability
    again = torch.where(first, drawn / max(probability, 1e-9), (drawn - probability) / max(1 - probability, 1e-9))
    return torch.stack([first, again < probability], -1)


def _object_pixel(mask: Tensor, place: Tensor) -> Tensor:
    """The pixel (row, column) (B, 2) at `place` (B,) in [0, 1) of each mask's pixels in scan order, or the middle."""
    height, width = mask.shape[2:]
    count = mask.flatten(1).cumsum(1, dtype=torch.int32)
    total = count[:, -1]
    wanted = (place * total).int().clamp(max=total - 1) + 1
    index = torch.searchsorted(count, wanted[:, None])[:, 0]
    index = torch.where(total > 0, index, (height // 2) * width + width // 2)
    return torch.stack([index // width, index % width], -1).float()


def _crop_centre(anchor: Tensor, size: Tensor, side: Tensor, place: Tensor) -> Tensor:
    """Centres (row, column) (B, 2) of crops of `side` source pixels.

    `place` in [-1, 1] moves the centre by up to 0.4 sides from the anchor; then it is moved to keep the crop inside of the
    image, or onto the image's middle where the image is smaller.
    """
    half = side[:, None] / 2
    centre = anchor + 0.8 * half * place
    low, high = half - 0.5, size.to(side) - half - 0.5
    return torch.where(low <= high, centre.clamp(min=low).clamp(max=torch.maximum(low, high)), (size.to(side) - 1) / 2)


def _affine(centre: Tensor, scale: Tensor, turn: Tensor, crop_size: int) -> Tensor:
    """(B, 2, 3) from source to crop pixels (x, y): turned about `centre` (row, column), scaled, moved to the crop's middle."""
    linear = turn * scale[:, None, None]
    middle = (crop_size - 1) / 2
    return torch.cat([linear, middle - linear @ centre.flip(-1)[:, :, None]], -1)


def _plain_affine(batch: InstanceBatch, crop_size: int) -> Tensor:
    ones = torch.ones(len(batch), device=batch.image.device)
    middle = _object_pixel(batch.mask, 0.5 * ones)
    centre = _crop_centre(middle, batch.size, crop_size * ones, torch.zeros_like(middle))
    # On the pixel grid, so that nothing is interpolated.
    grid = (crop_size - 1) / 2 % 1
    return _affine((centre - grid).floor() + grid, ones, torch.eye(2, device=ones.device).expand(len(batch), 2, 2), crop_size)


def _warped(mask: Tensor, matrix: Tensor, size: int) -> Tensor:
    """Bool maps (B, C, h, w) through `matrix`, nearest pixel, False from outside."""
    return warp_affine(mask.float(), matrix, (size, size), mode="nearest") > 0.5


def _crop(batch: InstanceBatch, matrix: Tensor, size: int, scale: Tensor, factor: Tensor, summand: Tensor) -> InstanceBatch:
    image = warp_affine(batch.image.float(), matrix, (size, size), mode="bilinear")
    image = (image * factor[:, :, None, None] + summand[:, :, None, None]).round().clamp(0, 255).to(torch.uint8)
    maps = _warped(torch.cat([batch.mask, ~batch.ignore], 1), matrix, size)
    mask, ignore = maps[:, :1] & maps[:, 1:], ~maps[:, 1:]
    sizes = torch.full_like(batch.size, size)
    return InstanceBatch(image, mask, ignore, sizes, batch.id, batch.source, batch.category, batch.gsd / scale)
