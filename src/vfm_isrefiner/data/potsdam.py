"""`Potsdam` and `potsdam_scenes`: ISPRS Potsdam (2D semantic labelling), its buildings and cars as instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfm_isrefiner.data.cache import DecodedCache
from vfm_isrefiner.data.component_set import ComponentSet, Tile, same_size, settled
from vfm_isrefiner.data.components import IGNORE, UNKNOWN, class_components
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.published import missing, one_choice
from vfm_isrefiner.data.scenes import Cut, Scene, objects_of
from vfm_isrefiner.geo.opening import RasterError
from vfm_isrefiner.geo.rows import RollingRows

GSD = 0.05
Bands = Literal["RGB", "IRRG", "RGBIR"]
FOLDERS = {"RGB": "2_Ortho_RGB", "IRRG": "3_Ortho_IRRG", "RGBIR": "4_Ortho_RGBIR"}
TRAIN = (
    *("2_10", "2_11", "2_12", "3_10", "3_11", "3_12", "4_10", "4_11", "4_12", "5_10", "5_11", "5_12"),
    *("6_7", "6_8", "6_9", "6_10", "6_11", "6_12", "7_7", "7_8", "7_9", "7_10", "7_11", "7_12"),
)
TEST = ("2_13", "2_14", "3_13", "3_14", "4_13", "4_14", "4_15", "5_13", "5_14", "5_15", "6_13", "6_14", "6_15", "7_13")
SPLITS = {"train": TRAIN, "test": TEST, "all": TRAIN + TEST}

# A label's colour, every channel taken as 0 or 255, is a corner of the cube R + 2 G + 4 B; black is a boundary.
CORNERS = {1: "clutter", 2: "tree", 3: "car", 4: "building", 6: "low_vegetation", 7: "impervious"}
CLASSES = {name: corner for corner, name in CORNERS.items()}
FAR = 85  # a channel further from both 0 and 255 is no colour of a label
ROWS = 512  # decoded together


@final
class Potsdam(ComponentSet):
    """Closed regions of `categories` in tiles of 6000 × 6000, 5 cm; an image is named "top_potsdam_2_10".

    `2_Ortho_RGB/top_potsdam_2_10_RGB.tif` (or `3_Ortho_IRRG/…_IRRG.tif`, `4_Ortho_RGBIR/…_RGBIR.tif`) with
    `5_Labels_all/…_label.tif` or `5_Labels_all_noBoundary/…_label_noBoundary.tif`; each folder may hold another one of the same
    name, and the labels may lie in `root`, as archives unpack. Source: the benchmark's page at isprs.org and torchgeo's
    Potsdam2D (names, the 24 training and 14 test tiles, colours); mmsegmentation's converter (labels without boundaries).

    Two published labels are not of the exact colours, as public code that reads all tiles notes: 4_12 was compressed with
    losses (no pixel exact), and most cars of 6_7 are (252, 255, 0). A channel of up to 85 therefore counts as 0 and of 170 or
    more as 255; the same code found no pixel of any tile in between. Other colours are ignored and counted in `unknown`; more
    than 0.1 % of a tile are an error.

    The paper takes RGB and says that buildings and cars are instances; it does not say which tiles. Its code's folder
    `img_dir/train_rgb` is of the form that mmsegmentation's converter gives, which trains on the benchmark's 24.

    Args:
        root: folder that holds the folders above.
        split: "train", "test" (the benchmark's) or "all".
        bands: "RGB", "IRRG" or "RGBIR", which is shown by its first three.
        boundaries: True takes `5_Labels_all`; False the version in which a strip along every boundary is black: ignored.
        categories: of `CLASSES`.
        tiles: some of the split's, such as "top_potsdam_2_10"; None takes all.
        source: name of the set.

    Raises:
        DataError: an unknown split, band combination, category or tile, a file is missing or cannot be read, sizes differ, or a
            label has too many pixels of no known colour.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        bands: Bands = "RGB",
        boundaries: bool = True,
        categories: Sequence[str] = ("building", "car"),
        tiles: Sequence[str] | None = None,
        source: str = "potsdam",
    ) -> None:
        files, self.boundaries = _files(Path(root), split, bands, boundaries, tiles), boundaries
        super().__init__(source, files, _categories(categories), GSD, (1, 2, 3))

    def read_classes(self, path: Path) -> NDArray[np.uint8]:
        return read_label(path, self.boundaries)


def potsdam_scenes(
    root: str | Path,
    split: str = "train",
    bands: Bands = "RGB",
    boundaries: bool = True,
    categories: Sequence[str] = ("building", "car"),
    tiles: Sequence[str] | None = None,
) -> list[Scene]:
    """The tiles of `Potsdam`, read window by window; arguments and errors are the same. A label is decoded when its first
    window is cut, about 0.4 GB, of which 72 MB stay until another tile is cut."""
    cache = DecodedCache(0)
    files = _files(Path(root), split, bands, boundaries, tiles)
    return [PotsdamScene(name, tile, boundaries, _categories(categories), cache) for name, tile in files.items()]


@dataclass(frozen=True)
class _OpenTile:
    ids: Tensor
    names: dict[int, str]
    rows: RollingRows

    @property
    def nbytes(self) -> int:
        return self.ids.nbytes


@final
class PotsdamScene(Scene):
    """One tile; the scenes of a list share a cache that keeps the last one open."""

    def __init__(
        self,
        name: str,
        tile: Tile,
        boundaries: bool,
        categories: dict[int, str],
        cache: DecodedCache,
    ) -> None:
        self.name, self.size, self.split, self.gsd = name, same_size(tile.image, tile.label), tile.split, GSD
        self.tile, self.boundaries, self.categories, self.cache = tile, boundaries, categories, cache

    def cut(self, rows: slice, columns: slice) -> Cut:
        opened = self.cache.get(self.name, self._open)
        try:
            image = opened.rows.rows(rows.start, rows.stop)[:3, :, columns]
        except RasterError as error:
            raise DataError(str(error)) from error
        ids = opened.ids.numpy()[rows, columns].astype(np.int32)
        ignore = ids == torch.iinfo(opened.ids.dtype).max
        found = objects_of(torch.from_numpy(np.where(ignore, 0, ids)), opened.names)
        return Cut(torch.from_numpy(image.copy()), found, torch.from_numpy(ignore) if ignore.any() else None)

    def _open(self) -> _OpenTile:
        ids, found = class_components(read_label(self.tile.label, self.boundaries), tuple(self.categories))
        return _OpenTile(ids, {it.id: self.categories[it.majority] for it in found}, _opened(self.tile.image))


def read_label(path: Path, boundaries: bool = True) -> NDArray[np.uint8]:
    """Classes of a label tile, (H, W): values of `CLASSES`, `IGNORE`, or `UNKNOWN`. Raises `DataError`."""
    table = np.full(8, UNKNOWN, np.uint8)
    table[list(CORNERS)] = list(CORNERS)
    if not boundaries:
        table[0] = IGNORE
    weights = np.array([1, 2, 4], np.uint8)[:, None, None]
    with _opened(path) as label:
        classes = np.empty(label.size, np.uint8)
        try:
            for start in range(0, label.size[0], ROWS):
                colours = label.rows(start, min(start + ROWS, label.size[0]))[:3]
                corner = ((colours > 127) * weights).sum(0, dtype=np.uint8)
                far = ((colours > FAR) & (colours < 255 - FAR)).any(0)
                classes[start : start + ROWS] = np.where(far, UNKNOWN, table[corner])
        except RasterError as error:
            raise DataError(str(error)) from error

    def colour(row: int, column: int) -> str:
        with _opened(path) as label:
            return f"colour {tuple(label.rows(row, row + 1)[:3, 0, column].tolist())}"

    expected = ", ".join(f"{tuple(255 * (corner >> bit & 1) for bit in range(3))} {name}" for corner, name in CORNERS.items())
    return settled(path, classes, colour, expected)


def _opened(path: Path) -> RollingRows:
    try:
        file = RollingRows(path)
    except RasterError as error:
        raise DataError(str(error)) from error
    if file.count < 3 or file.dtype != np.uint8:
        file.close()
        raise DataError(f"{path} has {file.count} bands of {file.dtype}; three or four of uint8 were expected. Fetch it again.")
    return file


def _categories(names: Sequence[str]) -> dict[int, str]:
    return {CLASSES[one_choice(name, tuple(CLASSES), "class of Potsdam")]: name for name in names}


def _files(root: Path, split: str, bands: str, boundaries: bool, tiles: Sequence[str] | None) -> dict[str, Tile]:
    """The files of each tile by its name."""
    known = [f"top_potsdam_{tile}" for tile in SPLITS[one_choice(split, tuple(SPLITS), "split of Potsdam")]]
    folder = FOLDERS[one_choice(bands, tuple(FOLDERS), "band combination of Potsdam")]
    labels, suffix = ("5_Labels_all", "label") if boundaries else ("5_Labels_all_noBoundary", "label_noBoundary")
    names = known if tiles is None else [one_choice(tile, known, f"tile of Potsdam's {split}") for tile in tiles]
    images = _found(root, folder, [f"{name}_{bands}.tif" for name in names])
    masks = _found(root, labels, [f"{name}_{suffix}.tif" for name in names])
    parts = ["train" if name.removeprefix("top_potsdam_") in TRAIN else "test" for name in names]
    return {name: Tile(*rest) for name, *rest in zip(names, images, masks, parts, strict=True)}  # type: ignore[arg-type]


def _found(root: Path, folder: str, names: Sequence[str]) -> list[Path]:
    places = [root / folder, root / folder / folder, root]
    found = [next((place / name for place in places if (place / name).is_file()), None) for name in names]
    lost = [name for name, path in zip(names, found, strict=True) if path is None]
    if lost:
        looked = [f"{folder}/{lost[0]}", f"{folder}/{folder}/{lost[0]}", lost[0]]
        raise missing(root, looked, f"{lost[0]} ({len(lost)} of {len(names)} such files are not there)")
    return [path for path in found if path is not None]
