import os
import shutil

import numpy as np
import pytest
import rasterio
from miniatures import POTSDAM, potsdam

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.potsdam import CORNERS, TEST, TRAIN, Potsdam, potsdam_scenes, read_label


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("potsdam")
    return root, potsdam(root)


@pytest.fixture
def own(made, tmp_path):
    """A set of the test's own; its files share their content with `made`: unlink before writing."""
    return shutil.copytree(made[0], tmp_path / "potsdam", copy_function=os.link)


def wanted(truths, split):
    return {(image, number): it for (part, image, number), it in truths.items() if part == split}


def changed(path, change):
    """Rewrites a GeoTIFF after `change` of its bands."""
    with rasterio.open(path) as file:
        profile, bands = file.profile, file.read()
    bands = change(bands)
    profile.update(height=bands.shape[1], width=bands.shape[2], count=bands.shape[0], dtype=bands.dtype)
    path.unlink()
    with rasterio.open(path, "w", **profile) as file:
        file.write(bands)


def test_the_split_of_the_benchmark():
    assert (len(TRAIN), len(TEST), len({*TRAIN, *TEST})) == (24, 14, 38)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("boundaries", [True, False])
def test_buildings_and_cars_are_instances(made, split, boundaries):
    root, truths = made
    of = Potsdam(root, split, boundaries=boundaries)
    expected = wanted(truths, split)
    assert {(it.image, it.instance): (it.area, it.category) for it in of.records} == {
        key: (it.area, it.category) for key, it in expected.items()
    }
    assert {(it.split, it.gsd, it.size) for it in of.records} == {(split, 0.05, (32, 40))}
    assert of.unknown == {}
    for index in (0, 1, 2):
        item = of[index]
        assert int(item.mask.sum()) == of.records[index].area
        x, y, width, height = of.records[index].bbox
        assert item.mask[0, y : y + height, x : x + width].all()
        assert bool(item.ignore.any()) is not boundaries


def test_bands(made):
    root, _ = made
    for bands, folder, places in (
        ("RGB", "2_Ortho_RGB", [0, 1, 2]),
        ("IRRG", "3_Ortho_IRRG", [0, 1, 2]),
        ("RGBIR", "4_Ortho_RGBIR", [0, 1, 2]),
    ):
        of = Potsdam(root, "train", bands=bands, tiles=["top_potsdam_2_10"])
        with rasterio.open(root / folder / f"top_potsdam_2_10_{bands}.tif") as file:
            expected = file.read()[places]
        assert np.array_equal(of[0].image.numpy(), expected)
        (scene,) = potsdam_scenes(root, "train", bands=bands, tiles=["top_potsdam_2_10"])
        cut = scene.cut(slice(5, 20), slice(8, 40))
        assert np.array_equal(cut.image.numpy(), expected[:, 5:20, 8:40])


def test_categories_and_tiles_choose(made):
    root, _ = made
    of = Potsdam(root, "all", categories=["tree", "clutter"], tiles=["top_potsdam_2_10", "top_potsdam_2_13"])
    assert [(it.image, it.category, it.split) for it in of.records] == [
        ("top_potsdam_2_10", "tree", "train"),
        ("top_potsdam_2_10", "clutter", "train"),
        ("top_potsdam_2_13", "tree", "test"),
        ("top_potsdam_2_13", "clutter", "test"),
    ]


@pytest.mark.parametrize("boundaries", [True, False])
def test_scenes_show_what_the_set_holds(made, boundaries):
    root, _ = made
    arguments = {"boundaries": boundaries, "tiles": ["top_potsdam_2_10", "top_potsdam_4_12"]}
    of, scenes = Potsdam(root, "train", **arguments), potsdam_scenes(root, "train", **arguments)
    for scene in scenes:
        members = [index for index, it in enumerate(of.records) if it.image == scene.name]
        assert (scene.size, scene.split, scene.gsd) == ((32, 40), "train", 0.05)
        seen = {index: np.zeros((32, 40), bool) for index in members}
        for rows in (slice(0, 20), slice(12, 32)):
            for columns in (slice(0, 25), slice(15, 40)):
                cut = scene.cut(rows, columns)
                assert np.array_equal(cut.image.numpy(), of[members[0]].image[:, rows, columns].numpy())
                ignore = of[members[0]].ignore[0, rows, columns]
                assert cut.ignore is None if not ignore.any() else np.array_equal(cut.ignore, ignore)
                for it in cut.objects:
                    (index,) = (each for each in members if of.records[each].instance == it.instance)
                    assert it.category == of.records[index].category
                    x, y, width, height = it.bbox
                    top, left = rows.start + y, columns.start + x
                    seen[index][top : top + height, left : left + width] |= it.mask.numpy()
        assert all(np.array_equal(seen[index], of[index].mask[0].numpy()) for index in members)


def test_archives_may_unpack_into_another_folder_of_the_same_name_or_beside(own):
    (own / "2_Ortho_RGB").rename(own / "moved")
    (own / "2_Ortho_RGB").mkdir()
    (own / "moved").rename(own / "2_Ortho_RGB" / "2_Ortho_RGB")
    for path in (own / "5_Labels_all").iterdir():
        path.rename(own / path.name)
    assert len(Potsdam(own, "test")) == 3 * 14


def test_a_few_unknown_pixels_are_ignored_and_counted(own):
    label = own / "5_Labels_all/top_potsdam_2_10_label.tif"
    changed(label, lambda bands: put(bands, (0, 0), (255, 0, 255)))
    of = Potsdam(own, "train", tiles=["top_potsdam_2_10"])
    assert of.unknown == {"top_potsdam_2_10": 1}
    assert of[0].ignore[0].nonzero().tolist() == [[0, 0]]


def put(bands, place, colour):
    bands[:, place[0], place[1]] = colour
    return bands


@pytest.mark.parametrize("colour", [(255, 0, 255), (0, 0, 0), (128, 255, 0), (0, 0, 100)])
def test_an_unknown_colour_names_file_colour_and_position(own, colour):
    label = own / "5_Labels_all/top_potsdam_2_10_label.tif"
    changed(label, lambda bands: put(put(bands, (3, 5), colour), (9, 9), colour))
    found = rf"top_potsdam_2_10_label\.tif holds colour \({colour[0]}, {colour[1]}, {colour[2]}\) at row 3, column 5"
    with pytest.raises(DataError, match=found + r".* 0\.16 % .* at most 0\.1 % .*\(0, 0, 255\) building"):
        Potsdam(own, "train", tiles=["top_potsdam_2_10"])
    with pytest.raises(DataError, match=found):
        potsdam_scenes(own, "train", tiles=["top_potsdam_2_10"])[0].cut(slice(0, 4), slice(0, 4))


def test_every_colour_has_its_class(own):
    label = own / "5_Labels_all/top_potsdam_2_10_label.tif"
    for name, colour in POTSDAM.items():
        changed(label, lambda bands, colour=colour: np.broadcast_to(np.uint8(colour)[:, None, None], bands.shape).copy())
        assert {CORNERS[value] for value in np.unique(read_label(label))} == {name}


FAULTS = {
    "no root": (lambda root: {"root": root / "none"}, r"none has no top_potsdam_2_10_RGB\.tif .24 of 24 .*there is no folder"),
    "split": (lambda root: {"split": "val"}, "Unknown split of Potsdam 'val'. Choose one of 'train', 'test', 'all'"),
    "bands": (lambda root: {"bands": "BGR"}, "Unknown band combination of Potsdam 'BGR'"),
    "category": (lambda root: {"categories": ["boat"]}, "Unknown class of Potsdam 'boat'"),
    "tile": (lambda root: {"tiles": ["top_potsdam_2_13"]}, "Unknown tile of Potsdam's train 'top_potsdam_2_13'"),
    "label gone": (
        lambda root: (root / "5_Labels_all/top_potsdam_3_10_label.tif").unlink(),
        r"has no top_potsdam_3_10_label\.tif .1 of 24 .*5_Labels_all/5_Labels_all/top.*found there: 2_Ortho_RGB/, ",
    ),
    "size": (
        lambda root: changed(root / "5_Labels_all/top_potsdam_2_10_label.tif", lambda bands: bands[:, :30]),
        r"label .*2_10_label\.tif is 30×40 and its image .*2_10_RGB\.tif is 32×40",
    ),
    "one band": (
        lambda root: changed(root / "5_Labels_all/top_potsdam_2_10_label.tif", lambda bands: bands[:1]),
        r"2_10_label\.tif has 1 bands of uint8; three or four",
    ),
    "16 bit": (
        lambda root: changed(root / "5_Labels_all/top_potsdam_2_10_label.tif", lambda bands: bands.astype(np.uint16)),
        r"2_10_label\.tif has 3 bands of uint16",
    ),
    "cut off": (
        lambda root: cut_off(root / "5_Labels_all/top_potsdam_2_10_label.tif"),
        r"2_10_label\.tif cannot be read as a raster",
    ),
}


def cut_off(path):
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(own, fault):
    change, message = FAULTS[fault]
    arguments = {"root": own} | (change(own) or {})
    with pytest.raises(DataError, match=message):
        Potsdam(**arguments)
    with pytest.raises(DataError, match=message):
        potsdam_scenes(**arguments)[0].cut(slice(0, 8), slice(0, 8))


def test_faults_of_the_image_of_a_scene(own):
    scenes = potsdam_scenes(own, "train", tiles=["top_potsdam_2_10", "top_potsdam_2_11"])
    changed(own / "2_Ortho_RGB/top_potsdam_2_10_RGB.tif", lambda bands: bands.astype(np.uint16))
    with pytest.raises(DataError, match=r"2_10_RGB\.tif has 3 bands of uint16; three or four of uint8"):
        scenes[0].cut(slice(0, 8), slice(0, 8))
    cut_off(own / "2_Ortho_RGB/top_potsdam_2_11_RGB.tif")
    with pytest.raises(DataError, match=r"2_11_RGB\.tif cannot be read as a raster"):
        scenes[1].cut(slice(24, 32), slice(0, 8))
