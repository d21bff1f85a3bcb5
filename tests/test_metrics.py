import cv2
import numpy as np
import pytest
import torch

from vfm_isrefiner.metrics import boundary_iou, iou, mean_iou_per_click, noc, nof

NAN = float("nan")


def masks_of(*rows):
    """(1, 1, H, W) bool from strings of dots and hashes."""
    return torch.tensor([[[[cell == "#" for cell in row] for row in rows]]])


def blobs(generator, batch=4, size=(48, 64)):
    noise = torch.rand(batch, 1, *size, generator=generator)
    return torch.nn.functional.avg_pool2d(noise, 11, 1, 5) > 0.5 * 0.95


def test_iou_counts_only_what_counts():
    pred, mask, ignore = masks_of("##..", "##.."), masks_of(".##.", "####"), masks_of("....", "...#")
    assert iou(pred, mask, ignore).tolist() == [3 / 6]
    assert iou(pred, mask, ignore).dtype == torch.float64


def test_iou_of_nothing_is_defined():
    something, nothing = masks_of("#..."), masks_of("....")
    everywhere = masks_of("####")
    assert iou(nothing, nothing, nothing).tolist() == [1.0]
    assert iou(something, nothing, nothing).tolist() == [0.0]
    assert iou(nothing, something, nothing).tolist() == [0.0]
    assert iou(something, nothing, everywhere).tolist() == [1.0]


def band_by_opencv(mask, width):
    padded = np.pad(mask.numpy().astype(np.uint8), 1)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)[1:-1, 1:-1]
    return mask.numpy() & ~eroded.astype(bool)


@pytest.mark.parametrize(("ratio", "width"), [(0.0, 1), (0.02, 2), (0.05, 4)])
def test_boundary_iou_equals_repeated_erosion(generator, ratio, width):
    mask = blobs(generator)
    pred = mask.roll(2, -1)
    expected = []
    for p, m in zip(pred[:, 0], mask[:, 0], strict=True):
        a, b = band_by_opencv(p, width), band_by_opencv(m, width)
        expected.append((a & b).sum() / (a | b).sum())
    np.testing.assert_allclose(boundary_iou(pred, mask, torch.zeros_like(mask), ratio).numpy(), expected, rtol=1e-12)


def test_boundary_iou_sees_the_image_border_as_an_edge():
    full = torch.ones(1, 1, 20, 20, dtype=torch.bool)
    inner = full.clone()
    inner[..., 0, :] = inner[..., -1, :] = inner[..., 0] = inner[..., -1] = False
    nowhere = torch.zeros_like(full)
    assert boundary_iou(full, full, nowhere).tolist() == [1.0]
    assert boundary_iou(full, inner, nowhere).tolist() == [0.0]
    assert boundary_iou(nowhere, nowhere, nowhere).tolist() == [1.0]


def test_boundary_iou_does_not_blame_for_ignored_pixels(generator):
    mask = blobs(generator)
    ignore = torch.zeros_like(mask)
    ignore[..., 20:40] = True
    pred = mask ^ (ignore & (torch.rand(mask.shape, generator=generator) < 0.5))
    assert boundary_iou(pred, mask, ignore).tolist() == [1.0] * 4


def test_measures_of_other_shapes_are_refused():
    mask = masks_of("....")
    for measure in (iou, boundary_iou):
        with pytest.raises(ValueError, match="Measures need bool masks"):
            measure(mask, mask.float(), mask)
        with pytest.raises(ValueError, match="of one shape"):
            measure(mask, mask, masks_of("..."))


def test_noc_is_the_first_click_that_reaches_the_threshold():
    ious = torch.tensor(
        [[0.5, 0.8, 0.7, 0.9], [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.8], [0.95, NAN, NAN, NAN], [0.5, 0.7, NAN, NAN]]
    )
    assert noc(ious, 0.8, 4).tolist() == [2, 4, 4, 1, 4]
    assert noc(ious, 0.8, 3).tolist() == [2, 3, 3, 1, 3]
    assert noc(ious[:, :2], 0.8).tolist() == [2, 20, 20, 1, 20]
    assert nof(ious, 0.8, 4) == 3
    assert noc(ious[:0], 0.8, 4).tolist() == []
    assert noc(ious[:, :0], 0.8, 4).tolist() == [4] * 5


def test_mean_iou_per_click_is_undefined_after_the_first_stop():
    means = mean_iou_per_click(torch.tensor([[0.25, 0.5, 0.75], [0.75, 1.0, NAN]]))
    assert means[:2].tolist() == [0.5, 0.75]
    assert means[2].isnan()
    with pytest.raises(ValueError, match="IoUs of 0 objects"):
        mean_iou_per_click(torch.zeros(0, 20))
