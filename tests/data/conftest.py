"""A small set drawn in memory, and images and masks on the disk."""

import numpy as np
import pytest
import torch
from PIL import Image

from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet


class Blocks(InstanceSet):
    """`images` images of 40 × 48 with three overlapping squares of 20 × 20; the image's number is its grey value."""

    def __init__(self, images=20, size=(40, 48), source="blocks"):
        self.decoded = 0
        super().__init__(
            source,
            [
                InstanceRecord(f"im{k}", i, f"im{k}/{i}", "square", 400, (2 + 8 * i, 2, 20, 20), size, gsd=0.5)
                for k in range(images)
                for i in range(3)
            ],
        )

    def read_image(self, record):
        self.decoded += 1
        return torch.full((3, *record.size), int(record.image[2:]), dtype=torch.uint8)

    def read_mask(self, record):
        mask, ignore = torch.zeros(2, 1, *record.size, dtype=torch.bool)
        x, y, w, h = record.bbox
        mask[:, y : y + h, x : x + w] = True
        ignore[:, 0] = True
        return mask, ignore


@pytest.fixture
def blocks():
    return Blocks


@pytest.fixture
def written(tmp_path):
    """Writes an array as an image file below `tmp_path` and gives its path."""

    def write(name, array):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(array)).save(path)
        return path

    return write


def ids_map(height=32, width=40):
    """Two instances and their places: 1 at rows 2-9, columns 3-14; 7 at rows 20-29, columns 10-15."""
    ids = np.zeros((height, width), np.uint8)
    ids[2:10, 3:15] = 1
    ids[20:30, 10:16] = 7
    return ids


@pytest.fixture
def ids():
    return ids_map()


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)
