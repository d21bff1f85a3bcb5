"""`Peer`: another program's predictor in the place of a `Round`, so that it is evaluated as our networks are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self, TypeVar, final

import numpy as np
import torch
from torch import Tensor

from vfm_isrefiner.clicks import POSITIVE, Clicks
from vfm_isrefiner.interaction import ImageFeatures
from vfm_isrefiner.peers.process import PeerError, PeerProcess

THEIRS, OURS = "theirs", "ours"
LARGEST_LOGIT = 128.0  # its sigmoid is exactly 1 in float32, that of its negative exactly 0


class Rule(Protocol):
    """What `Peer.protocol` changes of an `EvaluationProtocol`."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str: ...

    @property
    def flip(self) -> bool: ...


R = TypeVar("R", bound=Rule)


@final
@dataclass(frozen=True)
class Peer:
    """Stands where `evaluate` takes a `Round`. Use as a context manager: it starts the peer and ends it.

    The peer plays one image at a time, row by row; what it answers does not depend on the other rows. With `zoom` "theirs" it
    remembers the clicks of the last image, and those of another image or of an undone click are played again; so an evaluation
    is fastest with a batch of one.

    Attributes:
        process: the running program. name, fingerprint: of what it predicts with, for tables and for resuming.
        zoom: "theirs": it sees the whole image and zooms and flips by itself. "ours": it is called once for each click on the
            crop that our zoom-in made, with the previous probability.
        own_flip: with "theirs", whether it flips, or None for what it does by itself. With "ours", replaces what the protocol
            says.
        flip: as `RoundLike.flip`; used with "ours" alone.

    Raises:
        ValueError: `zoom` is neither.
    """

    process: PeerProcess
    name: str
    fingerprint: str
    zoom: str = THEIRS
    own_flip: bool | None = None
    flip: bool = False

    def __post_init__(self) -> None:
        if self.zoom not in (THEIRS, OURS):
            raise ValueError(f"peer.zoom is {THEIRS} or {OURS}, got {self.zoom!r}.")

    def __enter__(self) -> Self:
        self.process.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.close()

    def protocol(self, rule: R) -> R:
        """`rule` as it must be evaluated with this peer, under a name that says what differs.

        Raises:
            PeerError: the peer, which is started to ask it, cannot be; or it is to flip and cannot.
        """
        flips = self.process.start().get("flips", False)
        if self.own_flip and not flips:
            raise PeerError(f"peer.flip=true: {self.name} cannot average with the mirrored image; leave peer.flip=null.")
        told = {None: "", True: ", flipped", False: ", not flipped"}[self.own_flip]
        if self.zoom == THEIRS:
            return replace(rule, name=f"{rule.name}, peer's own zoom{told}", zoom=None, flip=False)
        flip = (rule.flip if self.own_flip is None else self.own_flip) and flips
        return rule if flip == rule.flip else replace(rule, name=f"{rule.name}{told or ', not flipped'}", flip=flip)

    def encode(self, image: Tensor) -> tuple[ImageFeatures, ImageFeatures | None]:
        """As `RoundLike.encode`: the peer encodes by itself, so the features are the image."""
        return ImageFeatures(image), None

    def logits(self, features: ImageFeatures, flipped: ImageFeatures | None, clicks: Clicks, prev_prob: Tensor) -> Tensor:
        """As `RoundLike.logits`; rows without a click are empty.

        Raises:
            PeerError: the peer failed.
        """
        images = _images(features.image, whole=self.zoom == THEIRS)
        before = prev_prob[:, 0].float().cpu().numpy()
        probs = [self._row(*row) for row in zip(images, clicks.yx.tolist(), clicks.label.tolist(), before, strict=True)]
        return to_logits(torch.from_numpy(np.stack(probs))[:, None]).to(prev_prob.device)

    def _row(self, image: np.ndarray, yx: list[list[float]], label: list[int], before: np.ndarray) -> np.ndarray:
        made = [[y, x, float(each == POSITIVE)] for (y, x), each in zip(yx, label, strict=True) if each >= 0]
        if not made:
            return np.zeros(image.shape[:2], np.float32)
        if self.zoom == THEIRS:
            return self.process.play(image, made, None, False)
        return self.process.play(image, made, before, self.flip)


def to_logits(prob: Tensor) -> Tensor:
    """Probability float32 -> logits whose sigmoid is the probability again: exactly at 0 and 1, within 1e-6 elsewhere.

    Not every probability is the float32 sigmoid of something. What matters is kept: on which side of a threshold of two
    decimals, such as 0.49 or 0.5, a pixel lies.
    """
    fine = torch.logit(prob.double()).clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
    threshold = (100 * prob.double()).round().div(100).float()
    above = prob > threshold
    slope = (prob.double() * (1 - prob.double())).clamp(min=1e-3)
    crossed = (fine.float().sigmoid() > threshold) != above
    aside = torch.where(above, 3e-7, -3e-7) / slope
    return torch.where(crossed, fine + aside, fine).float()


def _images(image: Tensor, whole: bool) -> list[np.ndarray]:
    """(B, 3, H, W) -> (H, W, 3) each, uint8 where they are whole images, else float32 in [0, 1]."""
    if whole and image.dtype != torch.uint8:
        raise PeerError(f"With zoom={THEIRS} a peer takes whole images as uint8, got {image.dtype}; use Peer.protocol.")
    if not whole and image.dtype == torch.uint8:
        image = image / 255
    return list(image.permute(0, 2, 3, 1).contiguous().cpu().numpy())
