import numpy as np
import pytest
import torch
from PIL import Image

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet
from vfm_isrefiner.report.sheet import LONGEST, Sample, colour_of, draw_sheet, read_sample, tinted


class Ponds(InstanceSet):
    """One image with a large and a small instance, and one whose mask cannot be read."""

    def __init__(self, size):
        sides = [(1, (2, 2, 20, 10)), (2, (30, 3, 1, 1)), (3, (0, 0, 1, 1))]
        super().__init__("ponds", [InstanceRecord("a", k, f"a/{k}", "pond", b[2] * b[3], b, size) for k, b in sides])
        self.size, self.shown = size, size

    def read_image(self, record):
        if self.shown is None:
            raise DataError("a.png cannot be read")
        return torch.full((3, *self.shown), 100, dtype=torch.uint8)

    def read_mask(self, record):
        if record.instance == 3:
            raise DataError("no mask")
        mask, ignore = torch.zeros(2, 1, *self.size, dtype=torch.bool)
        x, y, w, h = record.bbox
        mask[:, y : y + h, x : x + w] = True
        ignore[:, -8:] = True
        return mask, ignore


def test_masks_are_tinted_outlined_and_named():
    of = Ponds((32, 40))
    sample = read_sample(of, of.records, "ponds a")
    assert sample.title == "ponds a  3 inst.  32×40"
    assert [name for name, _ in sample.masks] == ["pond 1", "pond 2"]
    image = tinted(sample)
    plain = 100 / 255
    assert image[3, 5] == pytest.approx(0.7 * plain + 0.3 * np.array(colour_of(0)))
    assert image[2, 2] == pytest.approx(np.array(colour_of(0)))  # the border
    assert image[3, 30] == pytest.approx(np.array(colour_of(1)))
    assert image[15, 35] == pytest.approx(plain)
    assert image[31, 35] == pytest.approx(0.35 * plain + 0.4)


def test_large_images_are_thinned_out_and_small_instances_stay():
    of = Ponds((40, 3 * LONGEST))
    sample = read_sample(of, of.records, "")
    assert sample.image.shape == (14, LONGEST, 3)
    assert [int(mask.sum()) for _, mask in sample.masks] == [4 * 8, 1]


def test_images_that_cannot_be_shown():
    of = Ponds((32, 40))
    for shown in (None, (31, 40)):
        of.shown = shown
        assert read_sample(of, of.records, "a") is None


@pytest.mark.parametrize("count", [1, 5])
def test_sheet(tmp_path, count):
    mask = np.eye(20, 30, dtype=bool)
    masks = (("$x_{1", mask), ("empty", np.zeros_like(mask)))
    sample = Sample("a title longer than fits above one of the pictures $", np.zeros((20, 30, 3), np.uint8), masks, mask)
    with Image.open(draw_sheet([sample] * count, tmp_path / "new" / "sheet.png")) as file:
        assert file.format == "PNG"
        assert file.width > 300 * min(count, 4)
        assert len(file.convert("RGB").getcolors(2**24)) > 3
    with pytest.raises(ValueError, match="at least one sample"):
        draw_sheet([], tmp_path / "none.png")
