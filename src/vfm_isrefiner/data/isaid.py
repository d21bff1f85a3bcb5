"""`ISAID` and `isaid_patches`: iSAID (Waqas Zamir et al., 2019) in the layouts in which it is published and patched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor

from vfm_isrefiner.data.coco import CocoInstances
from vfm_isrefiner.data.components import Region, regions
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.id_map import IdMap
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet
from vfm_isrefiner.data.parallel import in_threads
from vfm_isrefiner.data.pictures import read_ids, read_picture, read_size
from vfm_isrefiner.data.published import one_choice, one_of

# Colours (R, G, B) of the published semantic masks.
CATEGORIES = {
    (0, 0, 63): "ship",
    (0, 63, 63): "storage_tank",
    (0, 63, 0): "baseball_diamond",
    (0, 63, 127): "tennis_court",
    (0, 63, 191): "basketball_court",
    (0, 63, 255): "ground_track_field",
    (0, 127, 63): "bridge",
    (0, 127, 127): "large_vehicle",
    (0, 0, 127): "small_vehicle",
    (0, 0, 191): "helicopter",
    (0, 0, 255): "swimming_pool",
    (0, 191, 127): "roundabout",
    (0, 127, 191): "soccer_ball_field",
    (0, 127, 255): "plane",
    (0, 100, 155): "harbor",
}
NAMES = ("", *CATEGORIES.values())
INSTANCE, SEMANTIC = "_instance_id_RGB.png", "_instance_color_RGB.png"


Files = tuple[Path, Path, Path | None]
"""Image, instance mask, and semantic mask where there is one."""


@final
class ISAID(InstanceSet):
    """Instances by the colours of the instance masks, each colour one instance.

    `<root>/<split>/images/P0000.png` with `Instance_masks/…/P0000_instance_id_RGB.png` and, for the categories,
    `Semantic_masks/…/P0000_instance_color_RGB.png` (as the archives unpack; any folders may lie between), or all three in
    `images/` (as the official devkit asks, and as it cuts patches). Source: the README and preprocess/split.py of
    github.com/CAPTAIN-WHU/iSAID_Devkit. Images are DOTA's, 800 to 13,000 px a side, or patches of them. Metres per pixel are
    not given: NaN.

    Colours are read as 24-bit numbers in full precision, R + 256 G + 65536 B. (Code that reads with OpenCV gets the channels as
    B, G, R and may number the instances the other way round; which ones are apart is the same.) Black is background. Opening
    decodes every mask once, on all cores; `isaid_scenes` does not.

    Args:
        root: folder that holds the splits.
        split: "train" or "val"; the masks of "test" are not published.
        source: name of the set.
        leave_out: names of images to pass over; the devkit cuts no patches of P1527 and P1530.

    Raises:
        DataError: a folder is missing, an image has no instance mask, sizes differ, or a file cannot be read.
    """

    def __init__(self, root: str | Path, split: str = "val", source: str = "isaid", leave_out: Sequence[str] = ()) -> None:
        self.files = isaid_files(root, split, leave_out)
        records: list[InstanceRecord] = []
        faults: list[str] = []
        for name, scanned in zip(self.files, in_threads(self._scan, self.files), strict=True):
            if isinstance(scanned, DataError):
                faults += scanned.faults
                continue
            size, found = scanned
            records += [
                InstanceRecord(name, it.id, f"{name}/{it.id}", NAMES[it.majority], it.area, it.bbox, size, split)
                for it in found
            ]
        if faults:
            raise DataError(*faults)
        super().__init__(source, records)

    def _scan(self, name: str) -> tuple[tuple[int, int], list[Region]] | DataError:
        """Size and regions of an image; an error is given back, so that every faulty file is told."""
        image, instance, semantic = self.files[name]
        try:
            ids, size = read_ids(instance), read_size(image)
            classes = None if semantic is None else class_map(read_ids(semantic))
            for kind, values in (("instance", ids), ("semantic", classes)):
                if values is not None:
                    check_size(kind, image, size, tuple(values.shape))
        except DataError as error:
            return error
        return size, regions(ids, classes)

    def read_image(self, record: InstanceRecord) -> Tensor:
        return read_picture(self.files[record.image][0]).image

    def read_mask(self, record: InstanceRecord) -> tuple[Tensor, Tensor]:
        ids = self.read_id_map(record)
        return ids.mask(record.instance), ids.ignore()

    def read_id_map(self, record: InstanceRecord) -> IdMap:
        return IdMap(self.cached(("ids", record.image), lambda: read_ids(self.files[record.image][1])))

    def unlabelled_images(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.files) - {record.image for record in self.records}))


def isaid_patches(root: str | Path, split: str = "val", source: str = "isaid") -> CocoInstances:
    """The official devkit's patches of 800 × 800 in COCO form: `<split>/images`, `<split>/instancesonly_filtered_<split>.json`.

    The devkit's preprocess.py writes that name, its README says `instance_only_filtered_…`; both are looked for. Its polygons
    run through the centres of the outermost pixels, so what is drawn of them is about half a pixel smaller all around than
    the masks that `ISAID` reads from the same patches.

    Raises:
        DataError: a folder or file is missing; see `CocoInstances` for what else.
    """
    one_choice(split, ("train", "val"), "split of iSAID")
    names = [f"{split}/{name}_filtered_{split}.json" for name in ("instancesonly", "instance_only")]
    file = one_of(root, [*names, *(f"annotations/{Path(name).name}" for name in names)], f"COCO annotations of {split}")
    return CocoInstances(one_of(root, [f"{split}/images"], f"images of {split}"), file, source, split)


def isaid_files(root: str | Path, split: str, leave_out: Sequence[str] = ()) -> dict[str, Files]:
    """The files of each image by its name. Raises `DataError` as `ISAID` does."""
    folder = Path(root) / split
    if not (folder / "images").is_dir():
        raise DataError(
            f"There is no folder {folder / 'images'}. Expected <root>/<split>/images of iSAID with Instance_masks beside "
            "it; check the root."
        )
    masks, semantics = _masks(folder, "Instance_masks", INSTANCE), _masks(folder, "Semantic_masks", SEMANTIC)
    images = [path for path in sorted((folder / "images").rglob("*.png")) if not path.name.endswith((INSTANCE, SEMANTIC))]
    images = [path for path in images if path.stem not in set(leave_out)]
    unlabelled = [path for path in images if path.stem not in masks]
    if unlabelled:
        raise DataError(
            f"{unlabelled[0]} has no {unlabelled[0].stem}{INSTANCE} under {folder / 'Instance_masks'} or beside it "
            f"({len(unlabelled)} such images). Unpack the instance masks of this split there, or name the images in leave_out."
        )
    return {path.stem: (path, masks[path.stem], semantics.get(path.stem)) for path in images}


def class_map(colours: Tensor) -> Tensor:
    """24-bit colours (H, W) to positions in `NAMES`, uint8; an unknown colour gives 0, no category."""
    codes = np.array([r + 256 * g + 65536 * b for r, g, b in CATEGORIES])
    order = np.argsort(codes)
    values = colours.numpy()
    place = np.searchsorted(codes[order], values).clip(max=len(codes) - 1)
    return torch.from_numpy(np.where(codes[order][place] == values, order[place] + 1, 0).astype(np.uint8))


def check_size(kind: str, image: Path, size: tuple[int, int], found: tuple[int, ...]) -> None:
    """Raise `DataError` where the mask of `image` is of another (height, width)."""
    if found != size:
        raise DataError(
            f"The {kind} mask of {image} is {found[0]}×{found[1]} and the image is {size[0]}×{size[1]} (height×width). "
            "They must be of one size: fetch both again."
        )


def _masks(folder: Path, kind: str, ending: str) -> dict[str, Path]:
    """Mask files by the name of their image, from both places where they may lie."""
    places = (folder / "images", folder / kind)
    return {path.name.removesuffix(ending): path for place in places for path in sorted(place.rglob(f"*{ending}"))}
