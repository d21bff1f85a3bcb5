import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vfm_isrefiner.data.id_map import IdMap, narrowest


@pytest.mark.parametrize(
    ("largest", "dtype"), [(255, torch.uint8), (256, torch.uint16), (65535, torch.uint16), (65536, torch.int32)]
)
def test_narrowest_keeps_every_value(largest, dtype):
    ids = torch.tensor([[0, largest]])
    small = narrowest(ids)
    assert small.dtype == dtype
    assert small.tolist() == ids.tolist()
    assert narrowest(ids[:, :0]).dtype == torch.uint8


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([None, 3]), st.booleans(), st.sampled_from([1, 300, 70000]))
def test_windows_show_what_the_whole_map_shows(seed, ignored, nodata, step):
    rng = np.random.default_rng(seed)
    values = torch.from_numpy(rng.integers(0, 5, (12, 17))) * step
    missing = torch.from_numpy(rng.random((1, 12, 17)) < 0.2) if nodata else None
    ids = IdMap(narrowest(values), None if ignored is None else ignored * step, missing)
    dropped = torch.zeros(1, 12, 17, dtype=torch.bool) if ignored is None else (values == ignored * step)[None]
    dropped = dropped if missing is None else dropped | missing
    mask = (values == 2 * step)[None] & ~dropped
    rows, columns = slice(3, 9), slice(5, 16)
    assert torch.equal(ids.ignore(), dropped)
    assert torch.equal(ids.mask(2 * step), mask)
    assert torch.equal(ids.mask(2 * step, rows, columns), mask[:, rows, columns])
    assert torch.equal(ids.ignore(rows, columns), dropped[:, rows, columns])
    area = int((values == 2 * step).sum())
    for box in ((0, 0, 17, 12), (5, 3, 4, 4), (-2, -1, 4, 4)):  # the last two miss some of it
        assert np.array_equal(ids.pixels(2 * step, box, area), np.flatnonzero(mask.numpy()))
