from dataclasses import replace

import numpy as np
import pytest
import torch

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.id_map import IdMap, narrowest
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet
from vfm_isrefiner.data.sampling import TrainingSamples
from vfm_isrefiner.data.windows import FEWEST_PIXELS, placed, read_window


class Speckled(InstanceSet):
    """Images of noise with objects that are scattered pixels; `maps` decides whether it offers id maps."""

    def __init__(self, size=(70, 90), maps=True, images=4, nodata=False, source="speckled"):
        self.maps, self.nodata = maps, nodata
        names = [f"im{k}" for k in range(images)]
        self.ids = {name: self._ids(name, size) for name in names}
        records = []
        for name in names:
            for number in (1, 2, 300):
                rows, columns = (self.ids[name] == number).numpy().nonzero()
                box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
                area = int((self.ids[name] == number).sum())
                records.append(InstanceRecord(name, number, f"{name}/{number}", "c", area, tuple(map(int, box)), size))
        super().__init__(source, records)

    def _ids(self, name, size):
        rng = np.random.default_rng(int(name[2:]))
        ids = rng.choice([0, 1, 2, 9, 300], size, p=[0.5, 0.1, 0.1, 0.1, 0.2])
        ids[:, size[1] // 2 :][ids[:, size[1] // 2 :] == 1] = 0  # 1 is on the left only
        ids[ids == 2] = 0
        ids[3, 4:7] = ids[size[0] - 2, 40:44] = 2  # fewer pixels than a window should show
        return torch.from_numpy(ids)

    def read_image(self, record):
        rng = np.random.default_rng(7 + int(record.image[2:]))
        return torch.from_numpy(rng.integers(0, 256, (3, *record.size), dtype=np.uint8))

    def _missing(self, record):
        missing = torch.zeros(1, *record.size, dtype=torch.bool)
        missing[:, 10:20, 10:20] = self.nodata
        return missing

    def read_mask(self, record):
        ids = self.ids[record.image][None]
        return ids == record.instance, (ids == 9) | self._missing(record)

    def read_id_map(self, record):
        if not self.maps:
            return None
        return IdMap(narrowest(self.ids[record.image]), 9, self._missing(record) if self.nodata else None)


@pytest.mark.parametrize("size", [(70, 90), (20, 90), (30, 28)])
@pytest.mark.parametrize("nodata", [False, True])
def test_id_maps_change_no_sample(size, nodata):
    both = [
        TrainingSamples({"a": Speckled(size, maps, nodata=nodata)}, 60, 32, min_area=0, merge_probability=0.4)
        for maps in (True, False)
    ]
    for number in range(60):
        one, other = (samples[number] for samples in both)
        assert one.id == other.id
        assert all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("image", "mask", "ignore"))
    assert any("+" in both[0][number].id for number in range(60))


def test_views_offer_the_id_map():
    of = Speckled()
    view = of.subset([4])
    assert torch.equal(view.read_id_map(view.records[0]).ids, of.read_id_map(of.records[4]).ids)


def test_sizes_must_agree_in_windows_too():
    of = Speckled()
    of.records = (replace(of.records[0], size=(70, 91)), *of.records[1:])
    of.read_image = lambda record: torch.zeros(3, 70, 90, dtype=torch.uint8)
    with pytest.raises(DataError, match="its index 70×91"):
        read_window(of, [0], 32, np.zeros(3))


def test_a_window_has_its_pixel_in_the_middle_half_or_at_the_border():
    rng = np.random.default_rng(0)
    pixels = np.flatnonzero(rng.random((80, 100)) < 0.3)
    for _ in range(50):
        places = rng.random(3)
        top, left = placed(pixels, (80, 100), 32, places)
        row, column = divmod(pixels[int(places[0] * len(pixels))], 100)
        assert 0 <= top <= 48
        assert 0 <= left <= 68
        assert top <= row < top + 32
        assert left <= column < left + 32
        assert 8 <= row - top <= 24 or top in (0, 48)


def test_a_window_with_too_little_of_the_object_is_moved_onto_it():
    # 20 pixels in a row: a window that has the first in its middle half shows 16 of them only when it is centred
    pixels = 50 * 100 + 50 + np.arange(20)
    assert placed(pixels, (100, 100), 32, np.array([0.0, 0.5, 0.0]))[1] == 50 - 16
    shown = placed(pixels, (100, 100), 32, np.array([0.0, 0.5, 0.99]))[1]
    assert shown == 50 - 8
    assert FEWEST_PIXELS == 16
