import numpy as np
import torch

from vfm_isrefiner.data.components import connected_components, regions


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
