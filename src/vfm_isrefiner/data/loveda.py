"""`LoveDA`: LoveDA (Wang et al., 2021), its buildings as instances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from vfm_isrefiner.data.component_set import ComponentSet, Tile, settled
from vfm_isrefiner.data.components import IGNORE, UNKNOWN
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.folder import paired
from vfm_isrefiner.data.pictures import read_ids
from vfm_isrefiner.data.published import one_choice, one_of

SPLITS = {"train": ("train",), "val": ("val",), "all": ("train", "val")}
SCENES = ("Urban", "Rural")
CLASSES = {"background": 1, "building": 2, "road": 3, "water": 4, "barren": 5, "forest": 6, "agriculture": 7}
GSD = 0.3


@final
class LoveDA(ComponentSet):
    """Closed regions of `classes` in tiles of 1024 × 1024; no-data (0) is ignored. An image is named "Urban/1366".

    `<root>/Train|Val/Urban|Rural/images_png/1366.png` with `masks_png/1366.png`, as the archives of the publisher's Zenodo
    record 5706578 unpack; also unpacked into a folder of the archive's name, `Train/Train/…`. Source: torchgeo's LoveDA
    (folders, values 1 to 7 and 0, the splits, 0.3 m) and the publisher's page github.com/Junjue-Wang/LoveDA. Numbers of images
    are not used twice. The paper tests on the buildings of Urban, 1,833 images: as many as Train and Val have together.

    Args:
        root: folder that holds Train and Val.
        split: "train", "val", or "all" for both; the masks of Test are not published.
        scenes: of "Urban" and "Rural".
        classes: names in `CLASSES`.
        source: name of the set.

    Raises:
        DataError: an unknown split, scene or class, a folder is missing, an image has no mask or a mask no image, sizes differ,
            a mask holds other values, or a file cannot be read.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "val",
        scenes: Sequence[str] = ("Urban",),
        classes: Sequence[str] = ("building",),
        source: str = "loveda",
    ) -> None:
        parts = SPLITS[one_choice(split, tuple(SPLITS), "split of LoveDA")]
        tiles: dict[str, Tile] = {}
        for scene in (one_choice(each, SCENES, "scene of LoveDA") for each in scenes):
            for part in parts:
                folder = _folder(root, part.capitalize()) / scene
                images, masks = paired(folder / "images_png", folder / "masks_png", "")
                tiles |= {f"{scene}/{name}": Tile(images[name], masks[name], part) for name in images}
        if not tiles:
            raise DataError(f"LoveDA was asked for no scene. Name some of {', '.join(SCENES)}.")
        categories = {CLASSES[one_choice(name, tuple(CLASSES), "class of LoveDA")]: name for name in classes}
        super().__init__(source, tiles, categories, GSD)

    def read_classes(self, path: Path) -> NDArray[np.uint8]:
        values = read_ids(path).numpy()
        classes = np.where(values == 0, IGNORE, np.where(values > max(CLASSES.values()), UNKNOWN, values)).astype(np.uint8)
        return settled(path, classes, lambda row, column: f"value {values[row, column]}", "values 0 to 7")


def _folder(root: str | Path, split: str) -> Path:
    """The folder of `split`; an archive unpacked into a folder of its own name lies one deeper."""
    folder = one_of(root, [split], f"folder {split} of LoveDA")
    return one_of(folder, [split, ""], f"folder {split} of LoveDA") if not (folder / "Urban").exists() else folder
