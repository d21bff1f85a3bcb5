import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vfm_isrefiner.data.components import IGNORE, UNKNOWN, class_components, connected_components, regions


def test_components_by_corner_and_without_loss():
    mask = torch.zeros(8, 9, dtype=torch.bool)
    mask[0:2, 0:2] = mask[2, 2] = mask[5:7, 5:9] = True
    ids = connected_components(mask)
    assert torch.equal(ids > 0, mask)
    assert ids.max() == 2
    assert ids[0, 0] == ids[2, 2] != ids[5, 5]


def test_regions_of_large_ids_and_no_others():
    ids = torch.zeros(10, 12, dtype=torch.int32)
    ids[1:4, 2:9] = 2**24 - 1
    ids[9, 11] = 3
    ids[0, 0] = -1
    assert [(it.id, it.area, it.bbox, it.majority) for it in regions(ids)] == [
        (3, 1, (11, 9, 1, 1), 0),
        (2**24 - 1, 21, (2, 1, 7, 3), 0),
    ]
    assert regions(torch.zeros(4, 4)) == []


def test_regions_agree_with_counting():
    rng = np.random.default_rng(3)
    ids, besides = rng.integers(0, 9, (20, 30)), rng.integers(0, 4, (20, 30))
    for region in regions(torch.from_numpy(ids), torch.from_numpy(besides)):
        rows, columns = np.nonzero(ids == region.id)
        assert region.area == len(rows)
        assert region.bbox == (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
        counts = np.bincount(besides[rows, columns], minlength=4)
        assert counts[region.majority] == counts.max()


VALUES = st.sampled_from([0, 0, 1, 2, 2, 7, UNKNOWN, IGNORE])
MAPS = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=VALUES)


@settings(deadline=None, max_examples=60)
@given(MAPS)
def test_components_of_classes_lose_and_invent_no_pixel(classes):
    wanted = (2, 1)
    ids, found = class_components(classes, wanted)
    assert ids.dtype == torch.uint8
    values = ids.numpy()
    assert np.array_equal(values == 255, classes >= UNKNOWN)
    assert np.array_equal((values > 0) & (values < 255), np.isin(classes, wanted))
    assert [it.id for it in found] == list(range(1, len(found) + 1))
    assert [it.majority for it in found] == sorted((it.majority for it in found), key=wanted.index)
    for it in found:
        mask = values == it.id
        (alone,) = regions(torch.from_numpy(mask.astype(np.int32)))
        assert (it.area, it.bbox) == (alone.area, alone.bbox)
        assert set(classes[mask]) == {it.majority}
        assert connected_components(torch.from_numpy(mask)).max() == 1
        # nothing of its class touches it but is another's
        padded = np.pad(mask, 1)
        around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).any((2, 3)) & ~mask
        assert not (classes[around] == it.majority).any()


@pytest.mark.parametrize(
    ("count", "dtype"),
    [(254, torch.uint8), (255, torch.uint16), (65534, torch.uint16), (65535, torch.int32)],
)
def test_ids_are_as_narrow_as_they_may(count, dtype):
    width = 2 * 512
    classes = np.zeros((2 * -(-count // 512), width), np.uint8)
    places = np.arange(count)
    classes[2 * (places // 512), 2 * (places % 512)] = 3
    classes[1, 1] = IGNORE
    ids, found = class_components(classes, (3,))
    assert (ids.dtype, len(found)) == (dtype, count)
    assert int(ids[1, 1]) == torch.iinfo(dtype).max
    assert len(np.unique(ids.numpy())) == count + 2
