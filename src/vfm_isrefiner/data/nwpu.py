"""`nwpu`: NWPU VHR-10 (Cheng et al., 2014) with its instance masks in COCO form (Su et al., 2019 and 2020)."""

from __future__ import annotations

from pathlib import Path

from vfm_isrefiner.data.coco import CocoInstances
from vfm_isrefiner.data.published import one_choice, one_of

SPLITS = ("positive", "train", "val")
FOLDERS = ("", "NWPU VHR-10 dataset/")
IMAGES = ("positive image set", "imgs", "images", "Images")
ANNOTATIONS = ("", "annotations/", "Annotations/", "coco_split/", "NWPU VHR-10_dataset_coco/")


def nwpu(root: str | Path, split: str = "positive", source: str = "nwpu") -> CocoInstances:
    """The objects of all ten classes in the 650 images that have any, of 500 to 2000 px a side. Metres per pixel (0.5 to 2, and
    0.08) are not given image by image: NaN.

    `NWPU VHR-10 dataset/positive image set/001.jpg` with `annotations.json` in the same folder or in `root`: "positive", all
    of it. `NWPU_instances_train.json` and `…_val.json`, 520 and 130 of these images, are RSPrompter's: "train", "val".
    Source: torchgeo's VHR10 (folders, names, metres per pixel), the notes of github.com/chaozhong2010/VHR-10_dataset_coco
    (annotations), RSPrompter's README and configurations (`imgs`, `annotations/`). The set is published without a split.

    Args:
        root: folder that holds "NWPU VHR-10 dataset", or that folder.
        split: of `SPLITS`.
        source: name of the set.

    Raises:
        DataError: an unknown split, a folder or file is missing; see `CocoInstances` for what else.
    """
    one_choice(split, SPLITS, "split of NWPU VHR-10")
    name = "annotations.json" if split == "positive" else f"NWPU_instances_{split}.json"
    images = one_of(root, [folder + place for folder in FOLDERS for place in IMAGES], "images of NWPU VHR-10")
    file = one_of(root, [f"{folder}{place}{name}" for folder in FOLDERS for place in ANNOTATIONS], name)
    return CocoInstances(images, file, source, split)
