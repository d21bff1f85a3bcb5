"""`WHUBuilding`: the WHU Building data set (Ji, Wei and Lu, 2018): aerial tiles, satellite tiles, and its COCO form."""

from __future__ import annotations

import math
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from vfm_isrefiner.data.coco import CocoInstances
from vfm_isrefiner.data.component_set import ComponentSet, Tile, settled
from vfm_isrefiner.data.components import UNKNOWN
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.folder import paired
from vfm_isrefiner.data.pictures import read_ids
from vfm_isrefiner.data.published import missing, one_choice, one_of

# Subset: its splits as published and metres per pixel; the global cities come from many satellites, 0.3 to 2.5 m.
SUBSETS = {
    "aerial": (("train", "val", "test"), 0.3),
    "satellite2": (("train", "train_no", "test", "test_no"), 0.45),
    "satellite1": (("",), math.nan),
}
BUILDING = (255, 1, 0xFFFFFF)  # white in one band, in a palette or a bitmap, and in three bands
DEPTH = 3  # the archives unpack into one or two folders of long names; a root above all subsets is one more


@final
class WHUBuilding(ComponentSet):
    """Closed regions of buildings in tiles of 512 × 512, TIFF, labels 0 and 255.

    "aerial" (New Zealand, 0.3 m): `3. The cropped image tiles and raster labels/train|val|test/image|label/*.tif`.
    "satellite2" (East Asia, 0.45 m): `1. The cropped image data and raster labels/train|test/image|label/*.tif`, and train_no
    and test_no, the tiles with few or no pixels of buildings. "satellite1" (global cities, 204 tiles): `image`, `label`
    without splits. Source: the publisher's page gpcv.whu.edu.cn/data/building_dataset.html (subsets, resolutions) as other
    pages repeat it, and the paths in public code that reads the archives (CAT-SAM's notes for the aerial tiles; several for
    the satellite ones). That train_no and test_no lie beside train and test could not be confirmed. Because the long folder
    names differ between copies, any folder within three levels of `root` that holds `<split>/image` and `<split>/label` is
    taken, if there is just one.

    Args:
        root: folder of the subset.
        split: see `SUBSETS`; for "satellite1" it is written into the records only.
        subset: a key of `SUBSETS`.
        source: name of the set.

    Raises:
        DataError: an unknown subset or split, no or several places fit, an image has no label or a label no image, sizes
            differ, a label holds other values, or a file cannot be read.
    """

    def __init__(self, root: str | Path, split: str = "test", subset: str = "aerial", source: str = "whu") -> None:
        splits, gsd = SUBSETS[one_choice(subset, tuple(SUBSETS), "subset of WHU Building")]
        inside = "" if splits == ("",) else one_choice(split, splits, f"split of WHU Building {subset}")
        folder = _folder(Path(root), inside)
        images, labels = paired(folder / "image", folder / "label", "")
        tiles = {name: Tile(images[name], labels[name], split or "") for name in images}
        super().__init__(source, tiles, {1: "building"}, gsd)

    def read_classes(self, path: Path) -> NDArray[np.uint8]:
        values = read_ids(path).numpy()
        classes = np.where(np.isin(values, BUILDING), 1, np.where(values == 0, 0, UNKNOWN)).astype(np.uint8)
        return settled(path, classes, lambda row, column: f"value {values[row, column]}", "0 and 255")


def whu_coco(root: str | Path, split: str = "test", source: str = "whu") -> CocoInstances:
    """The aerial tiles with `WHU_building_<split>.json` in `annotations/`, as RSPrompter converts and names them.

    Source: RSPrompter's README, configurations and whu2coco.py; images in `<split>/image`, or that below `imgs` or `images`.

    Raises:
        DataError: an unknown split, a folder or file is missing; see `CocoInstances` for what else.
    """
    one_choice(split, SUBSETS["aerial"][0], "split of WHU Building in COCO form")
    images = one_of(root, [f"{place}{split}/image" for place in ("imgs/", "images/", "")], f"images of {split}")
    name = f"WHU_building_{split}.json"
    return CocoInstances(images, one_of(root, [f"annotations/{name}", name], name), source, split, gsd=SUBSETS["aerial"][1])


def _folder(root: Path, split: str) -> Path:
    patterns = ["/".join(["*"] * depth + [split]).strip("/") for depth in range(DEPTH + 1)]
    places = [place for pattern in patterns for place in (sorted(root.glob(pattern)) if pattern else [root])]
    found = [place for place in places if (place / "image").is_dir() and (place / "label").is_dir()]
    if not split:  # tiles without splits are not those of a split of another subset
        found = [place for place in found if place.name not in {name for splits, _ in SUBSETS.values() for name in splits}]
    if not found:
        raise missing(
            root, [f"{pattern}/image".lstrip("/") for pattern in patterns], f"image/ beside label/ of split {split!r}"
        )
    if len(found) > 1:
        raise DataError(
            f"{root} holds more than one set of tiles of split {split!r}: {', '.join(str(place) for place in found)}. "
            "Give the folder of one subset as root."
        )
    return found[0]
