"""Parts of a set as functions of plain values, for configurations: a filter, and a split that no image crosses."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.instance_set import InstanceSet


def where(
    of: InstanceSet,
    min_area: int = 0,
    max_area: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    categories: Sequence[str] | None = None,
) -> InstanceSet:
    """`InstanceSet.where` as a function."""
    return of.where(min_area, max_area, limit, seed, categories)


def image_split(of: InstanceSet, part: Literal["train", "val"], fraction: float = 0.05, block: int = 1) -> InstanceSet:
    """One of two parts of a set; the two share no image and together are the set.

    Images in the order of their names are cut into blocks of `block`; those blocks whose first name has the lowest hash, `fraction` of all (one at least), are "val".
    Tiles of one scene often follow one another, so a larger block leaves fewer neighbours on both sides.

    Raises:
        DataError: an unknown part, a fraction outside (0, 1), or too few images to split.
    """
    if part not in ("train", "val"):
        raise DataError(f"Unknown part {part!r} of a split. Choose 'train' or 'val'.")
    names = sorted({record.image for record in of.records})
    blocks = [names[start : start + block] for start in range(0, len(names), block)]
    held_out = max(1, round(fraction * len(blocks)))
    if not 0 < fraction < 1 or held_out >= len(blocks):
        raise DataError(f"A split of {fraction} of {len(blocks)} blocks leaves nothing on one side. Take a fraction between 0 and 1, or smaller blocks.")
    ranked = sorted(blocks, key=lambda names: hashlib.sha256(names[0].encode()).digest())
    val = {name for names in ranked[:held_out] for name in names}
    return of.subset([index for index, record in enumerate(of.records) if (record.image in val) == (part == "val")])
