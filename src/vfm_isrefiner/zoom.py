"""`ZoomIn`: the network sees a crop round the object, which follows the prediction from click to click (RITM's zoom-in)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from vfm_isrefiner.clicks import POSITIVE, Clicks
from vfm_isrefiner.interaction import ImageFeatures, Interaction
from vfm_isrefiner.resample import crop, paste
from vfm_isrefiner.rollout import RoundLike

Size = tuple[int, int]


@dataclass(frozen=True)
class ZoomRule:
    """Which region the network sees, and at which size.

    Attributes:
        target: (height, width) to which every crop is resized, its aspect ratio lost; or the longest side, the aspect ratio
            kept; or None for the crop's own size.
        skip_clicks: the whole image is seen at its own size while an object has at most this many clicks; -1: never, the first
            click sees the whole image at `target`.
        keep_outside: the probability outside the crop stays as it was (MFP, VFM-ISRefiner); else it becomes zero (RITM,
            SimpleClick).
        expansion: side of the crop over side of the object's bounding box.
        min_crop: smallest side of a crop in pixels, before it is clamped to the image.
        recompute_iou: the crop stays until its overlap with a fresh one falls below this.
        prob_threshold: above it a pixel belongs to the object round which to crop; not the evaluation's threshold.

    Raises:
        ValueError: a size is not positive, or `expansion` is below 1.
    """

    target: Size | int | None = (448, 448)
    skip_clicks: int = -1
    keep_outside: bool = True
    expansion: float = 1.4
    min_crop: int = 200
    recompute_iou: float = 0.5
    prob_threshold: float = 0.5

    def __post_init__(self) -> None:
        sides = self.target if isinstance(self.target, tuple) else (self.target or 1,)
        if len(sides) > 2 or min(sides) < 1 or self.target == 0:
            raise ValueError(f"ZoomRule.target is (height, width), a longest side or None, got {self.target!r}.")
        if self.min_crop < 1 or self.expansion < 1:
            raise ValueError(
                f"ZoomRule needs min_crop >= 1 pixel and expansion >= 1, "
                f"got min_crop={self.min_crop}, expansion={self.expansion}."
            )

    @property
    def fixed_size(self) -> Size | None:
        """The network's input size where it is always the same, else None."""
        return self.target if isinstance(self.target, tuple) and self.skip_clicks < 0 else None

    def network_size(self, height: int, width: int) -> Size:
        """Input size of the network for a crop of `height` by `width` pixels."""
        if isinstance(self.target, tuple):
            return self.target
        if self.target is None:
            return height, width
        scale = self.target / max(height, width)
        return round(height * scale), round(width * scale)


def object_roi(mask: Tensor, clicks: Clicks, size: Tensor, rule: ZoomRule) -> tuple[Tensor, Tensor]:
    """The region round each object: bounding box of mask and positive clicks, expanded, clamped to the image.

    Args:
        mask: (B, 1, H, W) bool. size: (B, 2) int64, true height and width.

    Returns:
        (B, 4) int64 first row, last row, first column, last column; and (B,) bool, False where the mask is empty.
    """
    positive = clicks.label == POSITIVE
    # the largest byte: `any` along one axis is many times as slow
    rows, columns = (mask.view(torch.uint8).amax(axis)[:, 0].bool() for axis in (3, 2))
    sides = []
    for axis, lines in enumerate((rows, columns)):
        at = torch.arange(lines.shape[1], device=lines.device)
        click = clicks.yx[..., axis].long().minimum(size[:, axis, None] - 1).clamp(min=0)
        low = torch.cat([torch.where(lines, at, lines.shape[1]), torch.where(positive, click, lines.shape[1])], 1).amin(1)
        high = torch.cat([torch.where(lines, at, -1), torch.where(positive, click, -1)], 1).amax(1)
        # float64 and round half to even, as Python computes it
        centre = 0.5 * (low + high).double()
        half = 0.5 * (rule.expansion * (high - low + 1).double()).clamp(min=rule.min_crop)
        sides.append(torch.round(centre - half).long().clamp(min=0))
        sides.append(torch.round(centre + half).long().minimum(size[:, axis] - 1))
    return torch.stack(sides, 1), rows.any(1)


def whole_roi(size: Tensor) -> Tensor:
    """(B, 2) true height and width -> (B, 4) the region of the whole image."""
    zero = torch.zeros_like(size[:, 0])
    return torch.stack([zero, size[:, 0] - 1, zero, size[:, 1] - 1], 1)


@final
class ZoomIn:
    """Plays each round on a crop of its own for each object, and pastes the result back.

    `Interaction.roi` is the region in use; -1 throughout where none is chosen yet (the whole image is seen). Features are kept
    from click to click and encoded again only for objects whose region moved; where the objects of one batch need network
    inputs of several sizes (a `target` that keeps the aspect ratio), they are encoded for every click.
    """

    def __init__(self, round: RoundLike, rule: ZoomRule) -> None:
        self.round, self.rule = round, rule

    def start(self, image: Tensor, size: Tensor | None = None) -> Interaction:
        """As `Segmenter.start`: encodes the whole image, which the first click sees."""
        interaction = Interaction.begin(image, size)
        view = whole_roi(interaction.size)
        groups = self._groups(view, torch.full_like(view[:, 0], self.rule.skip_clicks < 0, dtype=torch.bool))
        interaction = replace(interaction, roi=torch.full_like(view, -1))
        if len(groups) > 1:
            return interaction
        features, flipped = self.round.encode(crop(image, view, groups[0][0]))
        return replace(interaction, features=features, flipped=flipped)

    def refine(self, interaction: Interaction, clicks: Clicks) -> Interaction:
        """As `Segmenter.refine`."""
        roi, view, zoomed = self._follow(interaction, clicks)
        now = replace(interaction, clicks=clicks, roi=roi)
        groups = self._groups(view, zoomed)
        if len(groups) == 1:
            size = groups[0][0]
            features, flipped = self._encoded(interaction, view, size)
            prob = self._play(now, view, size, features, flipped)
            if self.rule.skip_clicks < 0 or torch.equal(view, self._seen(now)):
                return replace(now, prob=prob, features=features, flipped=flipped)
            # an empty prediction made it look at the whole image while a region stays in use: nothing to keep
            return replace(now, prob=prob, features=None, flipped=None)
        now = replace(now, features=None, flipped=None)
        prob = torch.empty_like(now.prob)
        for size, index in groups:
            rows = now.rows(index)
            prob[index] = self._play(rows, view[index], size, *self.round.encode(crop(rows.image, view[index], size)))
        return replace(now, prob=prob)

    def _follow(self, interaction: Interaction, clicks: Clicks) -> tuple[Tensor, Tensor, Tensor]:
        """The region in use after `clicks`, the region that the network sees now, and (B,) bool whether the two are one."""
        rule, size, whole = self.rule, interaction.size, whole_roi(interaction.size)
        kept = torch.full_like(whole, -1) if interaction.roi is None else interaction.roi
        fresh, zoomed = object_roi(interaction.prob > rule.prob_threshold, clicks, size, rule)
        if rule.skip_clicks < 0:
            fresh, zoomed = torch.where(zoomed[:, None], fresh, whole), torch.ones_like(zoomed)
        else:
            zoomed = zoomed & (clicks.count > rule.skip_clicks)
        y, x = clicks.yx.unbind(-1)
        top, bottom, left, right = kept[:, :, None].unbind(1)
        # the last row and column count as outside, in the reference too
        outside = (clicks.label == POSITIVE) & ((y < top) | (y >= bottom) | (x < left) | (x >= right))
        moved = (kept[:, 0] < 0) | outside.any(1) | (_overlap(fresh, kept) < rule.recompute_iou)
        roi = torch.where((zoomed & moved)[:, None], fresh, kept)
        return roi, torch.where(zoomed[:, None], roi, whole), zoomed

    def _groups(self, view: Tensor, zoomed: Tensor) -> list[tuple[Size, Tensor]]:
        """Objects by network input size: (size, indices). With one fixed size nothing is read from the device."""
        if self.rule.fixed_size is not None:
            return [(self.rule.fixed_size, torch.arange(len(view), device=view.device))]
        groups: dict[Size, list[int]] = {}
        for row, ((top, bottom, left, right), zoom) in enumerate(zip(view.tolist(), zoomed.tolist(), strict=True)):
            native = (bottom - top + 1, right - left + 1)
            groups.setdefault(self.rule.network_size(*native) if zoom else native, []).append(row)
        return [(size, torch.tensor(rows, device=view.device)) for size, rows in groups.items()]

    def _encoded(self, interaction: Interaction, view: Tensor, size: Size) -> tuple[ImageFeatures, ImageFeatures | None]:
        """Features of `view`: those of the last round where it is the same region."""
        features = interaction.features
        if features is None or tuple(features.image.shape[-2:]) != size:
            return self.round.encode(crop(interaction.image, view, size))
        stale = (view != self._seen(interaction)).any(1).nonzero().flatten()
        if len(stale) == 0:
            return features, interaction.flipped
        fresh, mirrored = self.round.encode(crop(interaction.image[stale], view[stale], size))
        if len(stale) == len(view):
            return fresh, mirrored
        assert (interaction.flipped is None) == (mirrored is None), "one round encodes all of an interaction"
        flipped = None if interaction.flipped is None or mirrored is None else interaction.flipped.updated(stale, mirrored)
        return features.updated(stale, fresh), flipped

    def _play(
        self, now: Interaction, view: Tensor, size: Size, features: ImageFeatures, flipped: ImageFeatures | None
    ) -> Tensor:
        clicks = _clicks_in(view, size, now.clicks)
        prob = self.round.logits(features, flipped, clicks, crop(now.prob, view, size)).sigmoid()
        # RITM pastes into the region in use even where an empty prediction made it look at the whole image
        return paste(prob, self._seen(now), now.prob if self.rule.keep_outside else torch.zeros_like(now.prob))

    @staticmethod
    def _seen(interaction: Interaction) -> Tensor:
        """The region in use, or the whole image where none is chosen: that of the kept features."""
        whole = whole_roi(interaction.size)
        return whole if interaction.roi is None else torch.where(interaction.roi < 0, whole, interaction.roi)


def _clicks_in(view: Tensor, size: Size, clicks: Clicks) -> Clicks:
    """Clicks in network pixels: side * (y - first row) / rows, the reference's map (not the grid of the resampling)."""
    yx = clicks.yx.double()
    sides = []
    for axis, side in enumerate(size):
        first, last = view[:, None, 2 * axis], view[:, None, 2 * axis + 1]
        sides.append(side * (yx[..., axis] - first) / (last - first + 1))
    return Clicks(torch.stack(sides, -1).float(), clicks.label)


def _overlap(a: Tensor, b: Tensor) -> Tensor:
    """Product of the 1-D IoUs of rows and columns, of inclusive regions (B, 4) -> (B,) float64."""
    inner = a[:, 1::2].minimum(b[:, 1::2]) - a[:, 0::2].maximum(b[:, 0::2]) + 1
    outer = a[:, 1::2].maximum(b[:, 1::2]) - a[:, 0::2].minimum(b[:, 0::2]) + 1
    return (inner.clamp(min=0).double() / outer.double()).prod(1)
