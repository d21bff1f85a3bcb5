"""`authors_patches`: the patches that the authors of the paper trained and evaluated on, as their released code reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.folder import FolderInstances
from vfm_isrefiner.data.instance_set import InstanceSet
from vfm_isrefiner.data.isaid import ISAID
from vfm_isrefiner.data.published import one_choice, one_of


@dataclass(frozen=True)
class Layout:
    """Folders of images and of masks, "{split}" where the set has splits; the class where there is one; metres per pixel."""

    images: str
    masks: str
    category: str = ""
    gsd: float = float("nan")


LAYOUTS = {
    "isaid": Layout("{split}/images", "{split}/Instance_masks"),
    "potsdam": Layout("img_dir/{split}", "ann_dir/{split}", gsd=0.05),
    "loveda": Layout("images_crop", "masks_crop", "building", 0.3),
    "nwpu": Layout("img_dir_png", "ann_dir_rgb"),
    "whu": Layout("image_use", "label_use", "building"),
    "sandbar": Layout("images/{split}", "masks/{split}", "sandbar"),
}


def authors_patches(root: str | Path, set_name: str, split: str = "", source: str | None = None) -> InstanceSet:
    """Instances by the colours of the masks, each colour one: 24-bit ids in full precision. (The released code computes them in
    8-bit arithmetic, so that some of its instances merge.)

    PNG images and masks of the same names in the folders of `LAYOUTS`; those of iSAID have `…_instance_id_RGB.png` for masks
    and, for categories, `Semantic_masks/…_instance_color_RGB.png`. The released code names the splits train and val of iSAID,
    train_rgb and val of Potsdam, and new_val of SandBar; the others have no split folders. Source: the released code; whether
    the patches were published could not be confirmed. Names of the classes come from the paper; those of Potsdam and NWPU are
    not in the masks.

    Args:
        root: folder of the set.
        set_name: a key of `LAYOUTS`.
        split: as the folders name it; for sets without split folders it is written into the records only.
        source: name of the set; None takes `set_name`.

    Raises:
        DataError: an unknown set, no split where one is needed, a folder is missing; see `ISAID` and `FolderInstances` for what
            else.
    """
    layout = LAYOUTS[one_choice(set_name, tuple(LAYOUTS), "set of the authors' patches")]
    split, source = split or "", source or set_name
    if "{split}" in layout.images and not split:
        raise DataError(f"The authors' patches of {set_name} lie in {layout.images}: name the split, such as split=val.")
    images, masks = (
        one_of(root, [place.format(split=split)], what)
        for place, what in (
            (layout.images, f"images of the authors' {set_name}"),
            (layout.masks, f"masks of the authors' {set_name}"),
        )
    )
    if set_name == "isaid":
        return ISAID(root, split, source)
    return FolderInstances(images, masks, source, "ids", category=layout.category, split=split, gsd=layout.gsd)
