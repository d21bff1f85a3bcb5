"""`ISAID`: iSAID (Waqas Zamir et al., 2019) in the layouts in which it is published and patched."""

from __future__ import annotations

from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor

from vfm_isrefiner.data.components import Region, regions
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet
from vfm_isrefiner.data.parallel import in_threads
from vfm_isrefiner.data.pictures import read_ids, read_picture, read_size

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


@final
class ISAID(InstanceSet):
    """Instances by the colours of the instance masks, each colour one instance.

    `<root>/<split>/images/P0000.png` with `Instance_masks/…/P0000_instance_id_RGB.png` and, for the categories,
    `Semantic_masks/…/P0000_instance_color_RGB.png` (as the archives unpack), or all three in `images/` (as the official devkit
    asks). Images are DOTA's, 800 to 13,000 px a side, or patches of them. Colours are read as 24-bit numbers in full precision,
    R + 256 G + 65536 B. (Code that reads with OpenCV gets the channels as B, G, R and may number the instances the other way
    round; which ones are apart is the same.) Black is background. Opening decodes every mask once, on all cores.

    Args:
        root: folder that holds the splits.
        split: "train" or "val"; the masks of "test" are not published.
        source: name of the set.

    Raises:
        DataError: a folder is missing, an image has no instance mask, sizes differ, or a file cannot be read.
    """

    def __init__(self, root: str | Path, split: str = "val", source: str = "isaid") -> None:
        folder = Path(root) / split
        if not (folder / "images").is_dir():
            raise DataError(
                f"There is no folder {folder / 'images'}. Expected <root>/<split>/images of iSAID with Instance_masks beside "
                "it; check the root."
            )
        masks = _masks(folder, "Instance_masks", INSTANCE)
        self.semantics = _masks(folder, "Semantic_masks", SEMANTIC)
        images = [path for path in sorted((folder / "images").rglob("*.png")) if not path.name.endswith((INSTANCE, SEMANTIC))]
        self.files = {path.stem: (path, masks.get(path.stem)) for path in images}
        unlabelled = [path for path, mask in self.files.values() if mask is None]
        if unlabelled:
            raise DataError(
                f"{unlabelled[0]} has no {unlabelled[0].stem}{INSTANCE} under {folder / 'Instance_masks'} or beside it "
                f"({len(unlabelled)} such images). Unpack the instance masks of this split there."
            )
        records: list[InstanceRecord] = []
        for name, (size, found) in zip(self.files, in_threads(self._scan, self.files), strict=True):
            records += [
                InstanceRecord(name, it.id, f"{name}/{it.id}", NAMES[it.majority], it.area, it.bbox, size, split)
                for it in found
            ]
        super().__init__(source, records)

    def _scan(self, name: str) -> tuple[tuple[int, int], list[Region]]:
        ids, size = self._ids(name), read_size(self.files[name][0])
        classes = _classes(read_ids(self.semantics[name])) if name in self.semantics else None
        for kind, values in (("instance", ids), ("semantic", classes)):
            if values is not None and tuple(values.shape) != size:
                raise DataError(
                    f"The {kind} mask of {self.files[name][0]} is {values.shape[0]}×{values.shape[1]} and the image is "
                    f"{size[0]}×{size[1]} (height×width). They must be of one size: fetch both again."
                )
        return size, regions(ids, classes)

    def _ids(self, name: str) -> Tensor:
        return read_ids(self.files[name][1])  # type: ignore[arg-type]  # checked in __init__

    def read_image(self, record: InstanceRecord) -> Tensor:
        return read_picture(self.files[record.image][0]).image

    def read_mask(self, record: InstanceRecord) -> tuple[Tensor, Tensor]:
        ids = self.cached(("ids", record.image), lambda: self._ids(record.image))[None]
        return ids == record.instance, torch.zeros_like(ids, dtype=torch.bool)


def _masks(folder: Path, kind: str, ending: str) -> dict[str, Path]:
    """Mask files by the name of their image, from both places where they may lie."""
    places = (folder / "images", folder / kind)
    return {path.name.removesuffix(ending): path for place in places for path in sorted(place.rglob(f"*{ending}"))}


def _classes(colours: Tensor) -> Tensor:
    """24-bit colours (H, W) to positions in `NAMES`; an unknown colour gives 0, no category."""
    codes = np.array([r + 256 * g + 65536 * b for r, g, b in CATEGORIES])
    order = np.argsort(codes)
    values = colours.numpy()
    place = np.searchsorted(codes[order], values).clip(max=len(codes) - 1)
    return torch.from_numpy(np.where(codes[order][place] == values, order[place] + 1, 0).astype(np.uint8))
