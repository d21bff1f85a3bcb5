"""`CachedRound`: a round that encodes an image or a crop once, however many objects and sessions look at it."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, final

import torch
from torch import Tensor

from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.interaction import ImageFeatures
from vfm_isrefiner.rollout import RoundLike

Encoded = tuple[ImageFeatures, ImageFeatures | None]


@final
class FeatureCache:
    """Features by key, the least recently used leaving when their bytes exceed `budget`. For several threads at once.

    Raises:
        ValueError: the budget is negative.
    """

    def __init__(self, budget: int) -> None:
        if budget < 0:
            raise ValueError(f"A cache's budget is at least 0 bytes, got {budget}.")
        self.budget, self.bytes = budget, 0
        self._kept: OrderedDict[bytes, tuple[Encoded, int]] = OrderedDict()
        self._making: dict[bytes, Future[Encoded]] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes) -> Encoded | None:
        """What was put under `key`, if it is still there."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def get_or_make(self, key: bytes, make: Callable[[], Encoded]) -> Encoded:
        """What is under `key`, else what `make` gives, which is put there.

        Who asks for it while another thread makes it waits for that one, and gets its error where it fails.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
            running = self._making.get(key)
            if running is None:
                mine = self._making[key] = Future[Encoded]()
        if running is not None:
            return running.result()
        try:
            encoded = make()
            self.put(key, encoded)
            mine.set_result(encoded)
        except BaseException as error:
            mine.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._making[key]
        return encoded

    def put(self, key: bytes, encoded: Encoded) -> None:
        """Keep `encoded`, unless it alone exceeds the budget."""
        size = bytes_of(encoded)
        with self._lock:
            if size > self.budget or key in self._kept:
                return
            self._kept[key] = (encoded, size)
            self.bytes += size
            while self.bytes > self.budget:
                _, (_, freed) = self._kept.popitem(last=False)
                self.bytes -= freed


@final
@dataclass(frozen=True)
class CachedRound:
    """`round`, looking into `cache` before it encodes, and running the network for one caller at a time.

    What was encoded is known by the content of the image or crop, so that undo, the next object on the same image and another
    session on it find it, with no word of where a crop comes from.

    Attributes:
        lock: held while `round` works; `nullcontext()` where `round` takes care of several callers by itself.
    """

    round: RoundLike
    cache: FeatureCache
    lock: AbstractContextManager[Any] = field(default_factory=Lock)

    @property
    def flip(self) -> bool:
        """As `RoundLike.flip`."""
        return self.round.flip

    def encode(self, image: Tensor) -> Encoded:
        """As `RoundLike.encode`."""

        def make() -> Encoded:
            with self.lock:
                return self.round.encode(image)

        return self.cache.get_or_make(content_key(image), make)

    def logits(self, features: ImageFeatures, flipped: ImageFeatures | None, clicks: Clicks, prev_prob: Tensor) -> Tensor:
        """As `RoundLike.logits`."""
        with self.lock:
            return self.round.logits(features, flipped, clicks, prev_prob)


def content_key(image: Tensor) -> bytes:
    """A digest of an image's values, shape and type."""
    values = image.detach().cpu().contiguous()
    digest = hashlib.blake2b(f"{values.dtype} {tuple(values.shape)}".encode(), digest_size=20)
    digest.update(values.numpy().data)
    return digest.digest()


def bytes_of(encoded: Encoded) -> int:
    """Bytes of the memory that holds the tensors of `encoded`, pieces that share one counted once."""
    tensors: list[Tensor] = []
    for features in encoded:
        if features is not None:
            tensors += [value for value in vars(features).values() if isinstance(value, Tensor)]
    storages: dict[int, torch.UntypedStorage] = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in tensors}
    return sum(storage.nbytes() for storage in storages.values())
