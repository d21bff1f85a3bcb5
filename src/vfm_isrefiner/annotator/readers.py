"""`Readers`: open handles of one raster for several threads, by bands and stretch; `Kept`: what was made of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import final

from vfm_isrefiner.geo.stretch import Stretch
from vfm_isrefiner.geo.windows import RasterWindows

Look = tuple[tuple[int, ...] | None, Stretch]


@final
class Kept:
    """Pieces of bytes by key, the least recently used leaving when there are more than `budget`. For several threads."""

    def __init__(self, budget: int) -> None:
        self.budget, self.bytes = budget, 0
        self._pieces: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> bytes | None:
        """What was put, if it is still there."""
        with self._lock:
            if key in self._pieces:
                self._pieces.move_to_end(key)
            return self._pieces.get(key)

    def put(self, key: Hashable, piece: bytes) -> None:
        """Keep it, unless it alone is more than the budget."""
        with self._lock:
            if key in self._pieces or len(piece) > self.budget:
                return
            self._pieces[key] = piece
            self.bytes += len(piece)
            while self.bytes > self.budget:
                self.bytes -= len(self._pieces.popitem(last=False)[1])


@final
class Readers:
    """Handles are made as threads ask for them and kept for the next; a look that is not asked for any more gives way.

    Args:
        path: the raster.
        folder: keeps limits of stretches, so that a second handle of one look does not sample the raster again.
        kept: how many looks, and how many handles of each, stay open.
    """

    def __init__(self, path: Path, folder: Path, kept: int = 4) -> None:
        self.path, self._folder, self._kept = path, folder, kept
        self._lock = Lock()
        self._idle: OrderedDict[Look, list[RasterWindows]] = OrderedDict()

    @contextmanager
    def borrow(self, bands: Sequence[int] | None, stretch: Stretch) -> Iterator[RasterWindows]:
        """A handle for this thread alone. Raises `RasterError` as `RasterWindows`."""
        look: Look = (None if bands is None else tuple(bands), stretch)
        with self._lock:
            handles = self._idle.get(look)
            handle = handles.pop() if handles else None
        if handle is None:
            handle = RasterWindows(self.path, bands, stretch, stretch_folder=self._folder)
        try:
            yield handle
        finally:
            self._give_back(look, handle)

    def _give_back(self, look: Look, handle: RasterWindows) -> None:
        with self._lock:
            handles = self._idle.setdefault(look, [])
            self._idle.move_to_end(look)
            closing = [] if len(handles) < self._kept else [handle]
            if not closing:
                handles.append(handle)
            while len(self._idle) > self._kept:
                closing += self._idle.popitem(last=False)[1]
        for one in closing:
            one.close()

    def close(self) -> None:
        """Close the handles that nobody has."""
        with self._lock:
            handles = [one for some in self._idle.values() for one in some]
            self._idle.clear()
        for one in handles:
            one.close()
