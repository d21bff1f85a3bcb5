from pathlib import Path

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as rle_codec

from vfm_isrefiner.data.coco_masks import drawn
from vfm_isrefiner.data.run_lengths import encoded


@st.composite
def placed_masks(draw):
    """A mask in a box, its corner (x, y), and the size of the image around it."""
    height, width, x, y, right, below = (draw(st.integers(low, 12)) for low in (1, 1, 0, 0, 0, 0))
    density = draw(st.sampled_from([0.0, 0.2, 0.8, 1.0]))
    mask = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).random((height, width)) < density
    return torch.from_numpy(mask), (x, y), (y + height + below, x + width + right)


@given(placed_masks())
@settings(deadline=None)
def test_the_same_bytes_as_of_the_whole_mask(placed):
    mask, (x, y), size = placed
    whole = torch.zeros(size, dtype=torch.bool)
    whole[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    counts = encoded(mask, size, (x, y))
    assert counts == rle_codec.encode(np.asfortranarray(whole.numpy().astype(np.uint8)))["counts"]
    assert torch.equal(drawn([{"id": 1, "segmentation": {"size": size, "counts": counts}}], size, Path("i"))[0], whole)
