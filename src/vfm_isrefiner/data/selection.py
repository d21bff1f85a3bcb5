"""Sets that are opened later, and parts of a set, for configurations: a filter, and a split that no image crosses."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Literal

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.instance_set import InstanceSet

Source = InstanceSet | Callable[[], InstanceSet]
"""A set, or a callable without arguments that opens it (Hydra's `_partial_: true`)."""


def opened(source: Source) -> InstanceSet:
    """The set itself. Raises `DataError` where it cannot be opened."""
    return source if isinstance(source, InstanceSet) else source()


def where(
    of: Source,
    min_area: int = 0,
    max_area: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    categories: Sequence[str] | None = None,
) -> InstanceSet:
    """`InstanceSet.where` as a function."""
    return opened(of).where(min_area, max_area, limit, seed, categories)


def image_split(of: Source, part: Literal["train", "val"], fraction: float = 0.05, block: int = 1) -> InstanceSet:
    """One of two parts of a set; the two share no image, nor patches of one scene, and together are the set.

    Images (of prepared patches, the scenes they are cut from) in the order of their names are cut into blocks of `block`; of
    the blocks, in the order of a hash of their first name, the first `fraction` (one at least) are "val". Where a set does not
    tell which tiles are of one scene, these often follow one another: a larger block parts fewer neighbours.

    Raises:
        DataError: an unknown part, a fraction outside (0, 1), or too few images to split.
    """
    if part not in ("train", "val"):
        raise DataError(f"Unknown part {part!r} of a split. Choose 'train' or 'val'.")
    whole = opened(of)
    scenes = [whole.scene(record) for record in whole.records]
    names = sorted(set(scenes))
    blocks = [names[start : start + block] for start in range(0, len(names), block)]
    held_out = max(1, round(fraction * len(blocks)))
    if not 0 < fraction < 1 or held_out >= len(blocks):
        raise DataError(
            f"A split of {fraction} of {len(blocks)} blocks of images leaves nothing on one side. "
            "Take a fraction between 0 and 1, or smaller blocks."
        )
    ranked = sorted(blocks, key=lambda names: hashlib.sha256(names[0].encode()).digest())
    val = {name for names in ranked[:held_out] for name in names}
    return whole.subset([index for index, scene in enumerate(scenes) if (scene in val) == (part == "val")])
