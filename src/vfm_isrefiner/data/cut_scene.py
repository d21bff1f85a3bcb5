"""One scene as patches and its part of the index."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.index import IndexRow, write_part
from vfm_isrefiner.data.prepared_folder import PARTS, PATCHES, file_stem
from vfm_isrefiner.data.run_lengths import encoded
from vfm_isrefiner.data.scenes import Cut, CutObject, Scene
from vfm_isrefiner.data.tiling import Window, windows
from vfm_isrefiner.files import write_whole


@dataclass(frozen=True)
class Cutting:
    """How scenes are cut, and where to: called with a scene, in any process.

    Attributes:
        out: the prepared folder.
        fingerprint: of all that decides the patches; a part that bears another is not ours.
        patch_size, overlap: in pixels, see `windows`.
        min_area: smaller parts of objects (pixels) get no row; a patch without rows is dropped.
    """

    out: Path
    fingerprint: str
    patch_size: int
    overlap: int
    min_area: int

    def __call__(self, scene: Scene) -> str | None:
        """Write the scene's patches, and when all are there its part; gives what is wrong with its files, or None.

        Of a scene that breaks nothing is left. Raises `OSError` where a file cannot be written.
        """
        scene = copy.copy(scene)  # what it keeps of the rows it has read goes with the copy
        patches: list[str] = []
        try:
            rows, dropped = self._cut(scene, patches)
        except DataError as error:
            for name in patches:
                (self.out / PATCHES / name).unlink()
            return str(error)
        size = sum((self.out / PATCHES / name).stat().st_size for name in patches)
        facts = {"fingerprint": self.fingerprint, "patches": patches, "dropped": dropped, "bytes": size}
        write_part(self.out / PARTS / f"{file_stem(scene.name)}.parquet", rows, facts)
        return None

    def _cut(self, scene: Scene, patches: list[str]) -> tuple[list[IndexRow], int]:
        """Rows of the index, and how many windows show no object; written files are added to `patches`."""
        rows: list[IndexRow] = []
        dropped = 0
        for window in windows(scene.size, self.patch_size, self.overlap):
            cut = scene.cut(window.rows, window.columns)
            if tuple(cut.image.shape) != (3, window.height, window.width):
                raise DataError(
                    f"A window of {window.height}×{window.width} pixels (height×width) of {scene.name!r} came as "
                    f"{tuple(cut.image.shape)}: the file is not of the size that its header or index says. Fetch it again."
                )
            objects = [it for it in cut.objects if it.area >= self.min_area]
            if not objects:
                dropped += 1
                continue
            name = f"{file_stem(scene.name)}_{window.row}_{window.column}"
            write_whole(self.out / PATCHES / f"{name}.png", png(cut.image))
            patches.append(f"{name}.png")
            rows += index_rows(scene, window, name, cut, objects)
        return rows, dropped


def index_rows(scene: Scene, window: Window, name: str, cut: Cut, objects: Sequence[CutObject]) -> list[IndexRow]:
    """The rows of one patch, ascending by instance."""
    size = (window.height, window.width)
    ignore = None if cut.ignore is None else encoded(cut.ignore, size)
    return [
        IndexRow(
            name,
            it.instance,
            it.category,
            it.area,
            *it.bbox,
            _at_border(it.bbox, window, scene.size),
            *size,
            scene.name,
            window.row,
            window.column,
            scene.split,
            scene.gsd,
            encoded(it.mask, size, it.bbox[:2]),
            ignore,
        )
        for it in sorted(objects, key=lambda it: it.instance)
    ]


def png(image: Tensor) -> bytes:
    """`image` (3, H, W) uint8 RGB as a PNG."""
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy()[..., ::-1])
    # OpenCV's default is its fastest: a tenth larger than zlib's level 1 in half the time
    return cv2.imencode(".png", pixels)[1].tobytes()


def _at_border(bbox: tuple[int, int, int, int], window: Window, size: tuple[int, int]) -> bool:
    """Whether a box in the window touches an edge behind which the scene goes on."""
    x, y, width, height = bbox
    before = (x == 0 and window.column > 0) or (y == 0 and window.row > 0)
    after_columns = x + width == window.width and window.column + window.width < size[1]
    after_rows = y + height == window.height and window.row + window.height < size[0]
    return before or after_columns or after_rows
