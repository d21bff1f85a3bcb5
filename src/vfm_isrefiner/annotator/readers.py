"""`Readers`: open handles of one raster for several threads, by bands and stretch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import final

from vfm_isrefiner.geo.stretch import Stretch
from vfm_isrefiner.geo.windows import RasterWindows

Look = tuple[tuple[int, ...] | None, Stretch]


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
