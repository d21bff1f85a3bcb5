"""The one loop of interactive segmentation, and one round of it (Fig. 2: click maps, modulation, network)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, final

import torch
from torch import Tensor

from vfm_isrefiner.click_maps import click_maps
from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.interaction import ImageFeatures, Interaction
from vfm_isrefiner.modulation import Modulation

NextClick = Callable[[Interaction], tuple[Tensor, Tensor]]


class Network(Protocol):
    """What every network of models/ offers."""

    training: bool

    def encode_image(self, image: Tensor) -> ImageFeatures:
        """(B, 3, H, W) float RGB in [0, 1] -> what the image alone decides."""
        ...

    def __call__(self, features: ImageFeatures, click_maps: Tensor, prev_prob: Tensor, mod_prob: Tensor) -> Tensor:
        """Features, M_click (B, 2, H, W), M_prev and M_mod (B, 1, H, W) -> logits (B, 1, H, W)."""
        ...


class RoundLike(Protocol):
    """What a segmenter needs: a frozen dataclass with these two calls. `Round` is the one of the package."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def flip(self) -> bool:
        """Are the logits of the mirrored image averaged in?"""
        ...

    def encode(self, image: Tensor) -> tuple[ImageFeatures, ImageFeatures | None]:
        """(B, 3, H, W), uint8 or float in [0, 1] -> features of the image, and of the mirrored image where `flip`."""
        ...

    def logits(self, features: ImageFeatures, flipped: ImageFeatures | None, clicks: Clicks, prev_prob: Tensor) -> Tensor:
        """One round on encoded images -> logits (B, 1, H, W); clicks and `prev_prob` in pixels of those images."""
        ...


@final
@dataclass(frozen=True)
class Round:
    """Click maps, modulation, network: all that happens between a click and the logits.

    Attributes:
        network: of models/, in the mode (train or eval) that the caller chose.
        modulation: (prob, clicks) -> M_mod.
        first_click_passes: 1 as in the paper, where M_prev and M_mod of the first click are zero matrices; 2 as in the
            released MFP and VFM-ISRefiner, which then run again on their own modulated output.
        flip: average the logits with those of the image mirrored left to right.

    Raises:
        ValueError: `first_click_passes` is neither 1 nor 2.
    """

    network: Network
    modulation: Modulation
    first_click_passes: int = 1
    flip: bool = False

    def __post_init__(self) -> None:
        if self.first_click_passes not in (1, 2):
            raise ValueError(f"first_click_passes is 1 (paper) or 2 (released), got {self.first_click_passes!r}.")

    def encode(self, image: Tensor) -> tuple[ImageFeatures, ImageFeatures | None]:
        """As `RoundLike.encode`."""
        image = image / 255 if image.dtype == torch.uint8 else image
        features = self.network.encode_image(image)
        return features, self.network.encode_image(image.flip(-1)) if self.flip else None

    def logits(self, features: ImageFeatures, flipped: ImageFeatures | None, clicks: Clicks, prev_prob: Tensor) -> Tensor:
        """As `RoundLike.logits`. Rows whose `prev_prob` is zero everywhere count as having no prediction yet.

        Raises:
            ValueError: `flip` is on and there are no features of the mirrored image.
        """
        if not self.flip:
            return self._pass(features, clicks, prev_prob)
        if flipped is None:
            raise ValueError("Round(flip=True) got no features of the mirrored image; start from Round.encode of this round.")
        # An image and its mirror are neighbours in the batch, as in the released evaluation.
        both = torch.arange(2 * len(prev_prob), device=prev_prob.device).view(2, -1).t().flatten()
        logits = self._pass(
            ImageFeatures.stack([features, flipped]).rows(both),
            Clicks.stack([clicks, clicks.flipped(prev_prob.shape[-1])]).rows(both),
            torch.cat([prev_prob, prev_prob.flip(-1)])[both],
        )
        return 0.5 * (logits[0::2] + logits[1::2].flip(-1))

    def _pass(self, features: ImageFeatures, clicks: Clicks, prev_prob: Tensor) -> Tensor:
        maps = click_maps(clicks, (prev_prob.shape[-2], prev_prob.shape[-1]))
        blank = ~prev_prob.flatten(1).any(1)
        if self.first_click_passes == 2:
            prev_prob = self._first_prob(features, maps, prev_prob, blank)
            return self.network(features, maps, prev_prob, self.modulation(prev_prob, clicks)).float()
        mod_prob = torch.where(blank[:, None, None, None], 0.0, self.modulation(prev_prob, clicks))
        return self.network(features, maps, prev_prob, mod_prob).float()

    @torch.no_grad()
    def _first_prob(self, features: ImageFeatures, maps: Tensor, prev_prob: Tensor, blank: Tensor) -> Tensor:
        """`prev_prob`, blank rows replaced by what the network says to zero matrices. An input, so never differentiated."""
        index = blank.nonzero().flatten()
        if len(index) == 0:
            return prev_prob
        zero = torch.zeros_like(prev_prob[index])
        prob = self.network(features.rows(index), maps[index], zero, zero).float().sigmoid()
        return prev_prob.index_copy(0, index, prob.to(prev_prob.dtype))


class Segmenter(Protocol):
    """Plays rounds on whole images, on crops, or in whatever way; the state is the `Interaction` alone."""

    def start(self, image: Tensor, size: Tensor | None = None) -> Interaction:
        """No click yet on `image` (B, 3, H, W) uint8 RGB; `size` (B, 2) is the height and width before padding."""
        ...

    def refine(self, interaction: Interaction, clicks: Clicks) -> Interaction:
        """One round: `clicks` are all clicks so far, the newest one included, in pixels of `interaction.image`."""
        ...


@final
class WholeImage:
    """The network sees the whole image, at its own size; images are encoded once, in `start`."""

    def __init__(self, round: RoundLike) -> None:
        self.round = round

    def start(self, image: Tensor, size: Tensor | None = None) -> Interaction:
        """As `Segmenter.start`."""
        features, flipped = self.round.encode(image)
        return replace(Interaction.begin(image, size), features=features, flipped=flipped)

    def refine(self, interaction: Interaction, clicks: Clicks) -> Interaction:
        """As `Segmenter.refine`.

        Raises:
            ValueError: the interaction does not come from `start`.
        """
        if interaction.features is None:
            raise ValueError("WholeImage.refine got an interaction without features; begin with WholeImage.start(image).")
        logits = self.round.logits(interaction.features, interaction.flipped, clicks, interaction.prob)
        return replace(interaction, clicks=clicks, prob=logits.sigmoid())


def rollout(segmenter: Segmenter, interaction: Interaction, next_click: NextClick, rounds: int) -> Iterator[Interaction]:
    """Click, refine, click, refine ...: the interaction after each of `rounds` rounds.

    Who stops iterating stops the loop; gradients are as the caller has them on. Undo is dropping the last interaction.

    Args:
        segmenter: plays the rounds.
        interaction: where to go on from; `segmenter.start(image)` to begin.
        next_click: looks at the interaction, gives position (B, 2) and label (B,); label -1 makes no click for that object.
        rounds: how many clicks to make.
    """
    for _ in range(rounds):
        interaction = segmenter.refine(interaction, interaction.clicks.append(*next_click(interaction)))
        yield interaction
