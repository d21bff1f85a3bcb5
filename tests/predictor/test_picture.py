"""Images as people have them, and those that must be stretched first."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from vfm_isrefiner.geo.windows import Raster
from vfm_isrefiner.predictor.picture import picture_of

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def test_arrays_and_pil_images():
    planes = torch.from_numpy(RGB).permute(2, 0, 1)[None]
    for image in (RGB, Image.fromarray(RGB), Image.fromarray(np.dstack([RGB, RGB[..., :1]]))):
        picture = picture_of(image)
        assert torch.equal(picture.image, planes)
        assert picture.image.is_contiguous()
        assert picture.size == (5, 7)
        assert picture.nodata is None
    assert torch.equal(picture_of(RGB, "BGR").image, planes.flip(1))
    gray = picture_of(Image.fromarray(RGB[..., 0]))
    assert torch.equal(gray.image, planes[:, :1].expand(1, 3, 5, 7))


def test_the_callers_array_may_change_afterwards():
    for image in (RGB.copy(), np.ascontiguousarray(RGB.transpose(2, 0, 1)).transpose(1, 2, 0)):
        picture = picture_of(image)
        image[...] = 0
        assert torch.equal(picture.image, torch.from_numpy(RGB).permute(2, 0, 1)[None])


def test_a_window_of_a_raster():
    nodata = np.zeros((5, 7), bool)
    planes = np.ascontiguousarray(RGB.transpose(2, 0, 1))
    assert picture_of(Raster(planes, nodata, 0.5)).nodata is None
    nodata[:, 5:] = True
    picture = picture_of(Raster(planes, nodata, 0.5))
    assert torch.equal(picture.image[0], torch.from_numpy(planes))
    assert np.array_equal(picture.nodata.numpy(), nodata)


def test_no_object_reaches_where_there_is_no_data(predictor):
    bright = np.full((3, 20, 30), 250, np.uint8)
    nodata = np.zeros((20, 30), bool)
    nodata[:, 20:] = True
    found = predictor.session(Raster(bright, nodata, 1.0)).click(10, 10)
    assert found.mask[:, :20].all()
    assert not found.mask[:, 20:].any()
    assert found.prob[:, 20:].max() == 0


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (RGB.astype(np.uint16), "uint8 values was expected, got uint16. Stretch it to 8 bits"),
        (RGB / 255, "got float64. Stretch"),
        (Image.fromarray(RGB[..., 0].astype(np.int32)), "mode 'I'. Stretch"),
        (Image.fromarray(RGB[..., 0].astype(np.float32)), "mode 'F'. Stretch"),
        (Image.fromarray(RGB[..., 0].astype(np.uint16)), "mode 'I;16'. Stretch"),
        (Raster(np.zeros((3, 5, 7), np.float32), np.zeros((5, 7), bool), 1.0), "got float32. Stretch"),
        (RGB[..., 0], r"got shape \(5, 7\).*np\.stack"),
        (RGB.transpose(2, 0, 1), r"got shape \(3, 5, 7\).*transpose\(1, 2, 0\)"),
        (np.dstack([RGB, RGB]), r"got shape \(5, 7, 6\).*Choose three"),
        (RGB[:0], r"got shape \(0, 7, 3\)\. Give all"),
    ],
)
def test_images_that_do_not_fit(image, message):
    with pytest.raises(ValueError, match=message):
        picture_of(image)


@pytest.mark.parametrize("image", ["scene.tif", [[1]], torch.zeros(3, 4, 4), SimpleNamespace(image=RGB)])
def test_things_that_are_no_image(image):
    with pytest.raises(TypeError, match=r"got (str|list|Tensor|SimpleNamespace)"):
        picture_of(image)


def test_orders_of_channels():
    with pytest.raises(ValueError, match="image_format is 'RGB' or 'BGR', got 'RGBA'"):
        picture_of(RGB, "RGBA")
