from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.tiling import Window, reassembled, windows


@st.composite
def tilings(draw):
    size = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    patch = draw(st.integers(1, 50))
    return size, patch, draw(st.integers(0, patch - 1))


def test_last_windows_are_moved_inside():
    found = windows((5, 17), patch_size=8, overlap=2)
    assert found == [Window(0, column, 5, 8) for column in (0, 6, 9)]
    assert (found[1].rows, found[1].columns) == (slice(0, 5), slice(6, 14))


def test_no_window_twice_where_the_side_is_covered():
    assert [it.column for it in windows((8, 14), 8, 2)] == [0, 6]
    assert windows((8, 8), 8, 2) == [Window(0, 0, 8, 8)]


@given(tilings())
@settings(deadline=None, max_examples=50)
def test_windows_cover_and_are_full(tiling):
    size, patch, overlap = tiling
    found = windows(size, patch, overlap)
    seen = np.zeros(size, int)
    for it in found:
        assert (it.height, it.width) == (min(patch, size[0]), min(patch, size[1]))
        assert seen[it.rows, it.columns].shape == (it.height, it.width)  # inside
        seen[it.rows, it.columns] += 1
    assert seen.min() >= 1
    assert found == sorted(set(found), key=lambda it: (it.row, it.column))


@given(tilings())
@settings(deadline=None)
def test_neighbours_share_at_least_the_overlap(tiling):
    size, patch, overlap = tiling
    columns = sorted({it.column for it in windows(size, patch, overlap)})
    assert all(0 < after - before <= patch - overlap for before, after in pairwise(columns))


@given(tilings(), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_reassembly_loses_and_invents_no_pixel(tiling, seed):
    size, patch, overlap = tiling
    mask = torch.from_numpy(np.random.default_rng(seed).random(size) < 0.3)
    parts = [(it.row, it.column, mask[it.rows, it.columns]) for it in windows(size, patch, overlap)]
    assert torch.equal(reassembled(size, parts), mask)


@pytest.mark.parametrize(("patch", "overlap"), [(0, 0), (8, 8), (8, -1)])
def test_impossible_patches(patch, overlap):
    with pytest.raises(DataError, match=rf"patch_size={patch} with overlap={overlap} cover no image. Take patch_size of 1"):
        windows((10, 10), patch, overlap)
