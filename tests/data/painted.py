"""A scene in memory, of an id map: what the tests of preparing cut."""

import numpy as np
import torch

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.scenes import Cut, Scene, objects_of


class Painted(Scene):
    """`ids` (H, W): 0 background, -1 ignored. The image follows from the place of a pixel, so patches can be told apart."""

    def __init__(self, name, ids, broken=False, split="train", gsd=0.5):
        self.name, self.ids, self.size, self.split, self.gsd, self.broken = name, ids, ids.shape, split, gsd, broken
        rows, columns = np.indices(ids.shape)
        self.image = torch.from_numpy(np.stack([rows % 256, columns % 256, (rows + columns) % 256]).astype(np.uint8))

    def cut(self, rows, columns):
        if self.broken and rows.start > 0:
            raise DataError(f"{self.name}.png cannot be read. Fetch it again.")
        ids = torch.from_numpy(self.ids[rows, columns])
        ignore = ids < 0
        names = {number: "even" if number % 2 == 0 else "odd" for number in ids.unique().tolist()}
        return Cut(self.image[:, rows, columns], objects_of(ids, names), ignore if ignore.any() else None)


def random_ids(rng, size, values=(1, 2, 3)):
    """Rectangles of `values` at random places of an id map; later ones cover earlier ones."""
    ids = np.zeros(size, np.int64)
    for value in values:
        top, left = rng.integers(0, size[0]), rng.integers(0, size[1])
        ids[top : top + rng.integers(1, size[0] + 1), left : left + rng.integers(1, size[1] + 1)] = value
    return ids
