import numpy as np
import pytest
import rasterio

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.folder import FolderInstances


@pytest.fixture
def folder(tmp_path, written, picture, ids):
    written("images/b.png", picture)
    written("images/a.png", picture[:, ::-1])
    written("masks/a.png", ids)
    written("masks/b.png", ids.astype(np.uint16) * 9000)
    return tmp_path


def opened(folder, **kwargs):
    return FolderInstances(folder / "images", folder / "masks", **kwargs)


def test_ids(folder, ids):
    of = opened(folder, category="house", gsd=0.3)
    assert [(it.id, it.area, it.bbox) for it in of.records] == [
        ("a/1", 96, (3, 2, 12, 8)),
        ("a/7", 60, (10, 20, 6, 10)),
        ("b/9000", 96, (3, 2, 12, 8)),
        ("b/63000", 60, (10, 20, 6, 10)),
    ]
    assert np.array_equal(of[3].mask[0].numpy(), ids == 7)
    assert (of[0].category, of[0].gsd) == ("house", 0.3)


def test_an_image_without_an_instance_is_known(folder, ids, written, picture):
    assert opened(folder).unlabelled_images() == ()
    written("images/c.png", picture)
    written("masks/c.png", 0 * ids)
    assert opened(folder).unlabelled_images() == ("c",)


def test_ignore_value_is_no_instance(folder, ids):
    of = opened(folder, ignore_value=7)
    assert "a/7" not in [record.id for record in of.records]
    assert np.array_equal(of[0].ignore[0].numpy(), ids == 7)


def test_binary_is_one_instance(folder, ids):
    of = opened(folder, kind="binary")
    assert [record.area for record in of.records] == [156, 156]
    assert np.array_equal(of[0].mask[0].numpy(), ids > 0)
    assert opened(folder, kind="binary", ignore_value=7)[0].mask.sum() == 96


def test_components_are_instances_and_none_is_lost_to_the_ignore_value(folder, ids, written, picture):
    ids[12:14] = 2  # the ignore value is also what the second component would be called
    written("masks/a.png", ids)
    of = opened(folder, kind="components", ignore_value=2)
    parts = [of[k] for k, record in enumerate(of.records) if record.image == "a"]
    assert [int(part.mask.sum()) for part in parts] == [96, 60]
    assert all(np.array_equal(part.ignore[0].numpy(), ids == 2) for part in parts)


def test_masks_that_cannot_be_ids(folder, ids, written, picture):
    for name in "ab":
        written(f"masks/{name}.png", np.where(ids > 0, 255, 0).astype(np.uint8))
    with pytest.raises(DataError, match=r"holds 0 and 255 alone, which looks binary .* Give kind=components"):
        opened(folder)
    assert len(opened(folder, kind="components")) == 4
    for name in "ab":
        (folder / "masks" / f"{name}.png").unlink()
        written(f"masks/{name}.jpg", ids)
    with pytest.raises(DataError, match=r"no file \* ending in \.png"):
        opened(folder)


def test_mask_suffix(folder):
    for name in "ab":
        (folder / "masks" / f"{name}.png").rename(folder / "masks" / f"{name}_mask.png")
    assert len(opened(folder, mask_suffix="_mask")) == 4
    with pytest.raises(DataError, match=r"images/a\.png has no mask a\.\* in .*masks \(2 such files\)"):
        opened(folder)


def test_geotiff_gives_ignored_pixels_and_gsd(tmp_path, written, ids):
    values = np.arange(3 * 32 * 40, dtype=np.uint16).reshape(3, 32, 40) + 1
    values[:, :4] = 0
    (tmp_path / "images").mkdir()
    profile = {"driver": "GTiff", "height": 32, "width": 40, "count": 3, "dtype": "uint16", "nodata": 0}
    transform = rasterio.Affine(2, 0, 500_000, 0, -2, 5_000_000)
    with rasterio.open(tmp_path / "images/a.tif", "w", crs="EPSG:32617", transform=transform, **profile) as file:
        file.write(values)
    written("masks/a.png", ids)
    instance = opened(tmp_path)[0]
    assert instance.gsd == pytest.approx(2)
    assert opened(tmp_path, gsd=3.0)[0].gsd == 3
    assert instance.ignore[0, :4].all()
    assert not instance.ignore[0, 4:].any()
    assert not instance.mask[0, :4].any()
    assert instance.image.max() == 255


def test_faults(folder, written, picture, ids):
    with pytest.raises(DataError, match=r"Unknown kind of mask 'id'. Choose one of ids, binary, components"):
        opened(folder, kind="id")
    with pytest.raises(DataError, match=r"There is no folder .*nowhere"):
        FolderInstances(folder / "nowhere", folder / "masks")
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match="empty has no file"):
        FolderInstances(folder / "images", folder / "empty")
    written("masks/c.png", ids)
    with pytest.raises(DataError, match=r"masks/c\.png has no image c\.\*"):
        opened(folder)
    written("images/c.png", picture)
    written("images/c.jpg", picture)
    with pytest.raises(DataError, match="have the same name but for the ending"):
        opened(folder)
    (folder / "images/c.jpg").unlink()
    written("images/c.png", picture[:30])
    with pytest.raises(DataError, match=r"masks/c\.png is 32×40 and its image .*c\.png is 30×40"):
        opened(folder)
    (folder / "masks/c.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"masks/c\.png cannot be read"):
        opened(folder)


def test_no_instance_at_all(written, picture, tmp_path):
    written("images/a.png", picture)
    written("masks/a.png", picture[..., 0] * 0)
    with pytest.raises(DataError, match="'folder' has no instance"):
        opened(tmp_path)
