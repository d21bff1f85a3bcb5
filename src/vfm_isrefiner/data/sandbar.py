"""`sandbar`: SandBar, mid-river sandbars of the upper Yellow River in Landsat-8 and GF-2 images, in COCO form."""

from __future__ import annotations

from pathlib import Path

from vfm_isrefiner.data.coco import CocoInstances
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.published import one_of


def sandbar(root: str | Path, split: str = "val", source: str = "sandbar") -> CocoInstances:
    """Sandbars in images of 512 × 512. Metres per pixel depend on the sensor and are not given: NaN.

    The paper says that annotations and files follow COCO. A public download and its folder names could not be confirmed, so the
    usual ones are looked for: images in `images/<split>`, `<split>/images`, `<split>` or `images`; annotations in
    `annotations/instances_<split>.json`, `annotations/<split>.json`, `instances_<split>.json`, `<split>.json` or
    `<split>/_annotations.coco.json`. The released code names the split "new_val". For other names use `CocoInstances`.

    Args:
        root: folder of the set.
        split: as the folders name it.
        source: name of the set.

    Raises:
        DataError: a folder or file is missing; see `CocoInstances` for what else.
    """
    if not split:
        raise DataError('SandBar needs the name of a split, such as "val"; folders and files are named after it.')
    places = [f"images/{split}", f"{split}/images", split, "images"]
    names = [f"{folder}{prefix}{split}.json" for folder in ("annotations/", "") for prefix in ("instances_", "")]
    file = one_of(root, [*names, f"{split}/_annotations.coco.json"], f"COCO annotations of split {split!r}")
    return CocoInstances(one_of(root, places, f"images of split {split!r}"), file, source, split)
