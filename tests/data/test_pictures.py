import numpy as np
import pytest
import torch
from PIL import Image

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.pictures import read_gsd, read_ids, read_picture, read_size


def test_rgb_grey_and_palette_pictures(written, picture):
    assert np.array_equal(read_picture(written("a.png", picture)).image.numpy(), picture.transpose(2, 0, 1))
    grey = read_picture(written("b.png", picture[..., 0]))
    assert np.array_equal(grey.image.numpy(), np.stack([picture[..., 0]] * 3))
    assert grey.nodata is None
    assert grey.nbytes == 3 * 32 * 40
    path = written("c.png", picture[..., 0])
    Image.open(path).convert("P").save(path)
    assert read_picture(path).image.shape == (3, 32, 40)
    assert read_size(path) == (32, 40)


def test_sixteen_bit_png_is_stretched(written):
    values = np.linspace(0, 40000, 32 * 40).reshape(32, 40).astype(np.uint16)
    image = read_picture(written("a.png", values)).image
    assert (int(image.min()), int(image.max())) == (0, 255)


@pytest.mark.parametrize("top", [1, 255, 65535, 2**24 - 1])
def test_ids_survive_in_full_precision(written, top):
    ids = np.zeros((8, 9), np.int64)
    ids[2:4, 3:5], ids[6, 6] = top, 1
    if top > 65535:
        file = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], -1).astype(np.uint8)
    else:
        file = ids.astype(np.uint8 if top < 256 else np.uint16)
    read = read_ids(written("a.png", file))
    assert read.dtype == (torch.uint8 if top < 256 else torch.int32)
    assert np.array_equal(read.numpy(), ids)


def test_one_bit_and_palette_masks_give_their_values(written, ids):
    assert np.array_equal(read_ids(written("a.png", ids > 0)).numpy(), ids > 0)
    path = written("b.png", ids)
    file = Image.open(path)
    file.putpalette([0, 0, 0, 200, 0, 0] + [7] * 762)
    file.save(path)
    assert np.array_equal(read_ids(path).numpy(), ids)


def test_faults_name_the_file(tmp_path, written, picture):
    with pytest.raises(DataError, match=r"There is no file .*gone\.tif"):
        read_gsd(tmp_path / "gone.tif")
    for read in (read_picture, read_ids, read_size):
        with pytest.raises(DataError, match=r"There is no file .*gone\.png. Check"):
            read(tmp_path / "gone.png")
        with pytest.raises(DataError, match=r"There is no file .*gone\.tif. Check"):
            read(tmp_path / "gone.tif")
        (tmp_path / "text.png").write_text("no image")
        with pytest.raises(DataError, match=r"text\.png cannot be read as an image .* fetch it again"):
            read(tmp_path / "text.png")
    path = written("cut.png", picture)
    path.write_bytes(path.read_bytes()[:1500])
    for read in (read_picture, read_ids):
        with pytest.raises(DataError, match=r"cut\.png cannot be read"):
            read(path)


def test_values_that_are_no_ids(tmp_path, written):
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif has float32 values of shape \(4, 4\); one integer band"):
        read_ids(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"b\.tif has values from -5 to -5; ids are 0 to"):
        read_ids(written("b.tif", np.full((4, 4), -5, np.int32)))
