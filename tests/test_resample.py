"""Crop and paste against torch's own interpolation, image by image."""

import torch
from torch.nn.functional import interpolate

from vfm_isrefiner.resample import crop, paste

ROIS = torch.tensor([[0, 39, 0, 59], [3, 30, 7, 8], [5, 5, 1, 50], [12, 29, 20, 37]])


def _cut(image, roi):
    top, bottom, left, right = roi.tolist()
    return image[None, :, top : bottom + 1, left : right + 1]


def test_crop_equals_interpolate(generator):
    image = torch.randint(0, 256, (4, 3, 40, 60), generator=generator, dtype=torch.uint8)
    for size in ((33, 20), (64, 64), (1, 5)):
        got = crop(image, ROIS, size)
        for row, roi in enumerate(ROIS):
            expected = interpolate(_cut(image[row], roi) / 255, size=size, mode="bilinear", align_corners=True)
            torch.testing.assert_close(got[row : row + 1], expected, atol=1e-6, rtol=0)


def test_crop_at_its_own_size_is_exact(generator):
    prob = torch.rand(1, 1, 40, 60, generator=generator)
    assert torch.equal(crop(prob, ROIS[3:], (18, 18)), _cut(prob[0], ROIS[3]))


def test_paste_equals_interpolate_and_keeps_the_outside(generator):
    patch, onto = torch.rand(4, 1, 33, 20, generator=generator), torch.rand(4, 1, 40, 60, generator=generator)
    before = onto.clone()
    got = paste(patch, ROIS, onto)
    for row, (top, bottom, left, right) in enumerate(ROIS.tolist()):
        expected = onto[row].clone()
        size = (bottom - top + 1, right - left + 1)
        resized = interpolate(patch[row : row + 1], size=size, mode="bilinear", align_corners=True)[0]
        expected[:, top : bottom + 1, left : right + 1] = resized
        torch.testing.assert_close(got[row], expected, atol=1e-6, rtol=0)
    assert torch.equal(onto, before)


def test_rows_do_not_depend_on_each_other(generator):
    image, patch = torch.rand(4, 3, 40, 60, generator=generator), torch.rand(4, 1, 16, 16, generator=generator)
    onto = torch.zeros(4, 1, 40, 60)
    for row in range(4):
        one = slice(row, row + 1)
        assert torch.equal(crop(image, ROIS, (16, 16))[one], crop(image[one], ROIS[one], (16, 16)))
        assert torch.equal(paste(patch, ROIS, onto)[one], paste(patch[one], ROIS[one], onto[one]))


def test_gradients_flow_through_a_paste(generator):
    patch = torch.rand(4, 1, 8, 8, generator=generator, dtype=torch.float64).float().requires_grad_()
    paste(patch, ROIS, torch.zeros(4, 1, 40, 60)).sum().backward()
    assert patch.grad is not None
    assert (patch.grad.flatten(1).sum(1) > 0).all()
