import math
import pickle
import shutil

import numpy as np
import pytest
import rasterio
import shapely
import torch
from PIL import Image
from rasterio.warp import transform_geom
from vector_files import write_vectors

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.geo_folder import GeoInstances, geo_scenes
from vfm_isrefiner.data.scenes import scenes_of

HEIGHT, WIDTH = 48, 40
LEFT, TOP = 500_000, 4_000_000


def raster(path, column=0, values=None, **more):
    """A tile of 48 × 40 px of 0.5 m, `column` pixels east of the first."""
    values = (
        np.random.default_rng(column).integers(1, 60_000, (3, HEIGHT, WIDTH)).astype(np.uint16) if values is None else values
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    grid = {"crs": "EPSG:32617", "transform": rasterio.Affine(0.5, 0, LEFT + column / 2, 0, -0.5, TOP)}
    profile = {"driver": "GTiff", "count": 3, "height": HEIGHT, "width": WIDTH, "dtype": values.dtype}
    with rasterio.open(path, "w", **{**grid, **profile, **more}) as file:
        file.write(values)
    return path


def pixels(x0, y0, x1, y1):
    """Pixels of the first tile as a box on the ground."""
    return shapely.box(LEFT + x0 / 2, TOP - y1 / 2, LEFT + x1 / 2, TOP - y0 / 2)


# 1 and 2 overlap, 3 lies on both tiles, 4 has a hole and two parts, 5 is off both.
SHAPES = [
    pixels(3, 4, 13, 10),
    pixels(8, 6, 20, 22),
    pixels(35, 30, 45, 40),
    shapely.MultiPolygon([pixels(50, 4, 60, 14).difference(pixels(53, 7, 56, 9)), pixels(70, 20, 72, 21)]),
    pixels(200, 200, 210, 210),
]


@pytest.fixture
def folder(tmp_path):
    raster(tmp_path / "images/a.tif")
    raster(tmp_path / "images/b.tif", WIDTH)
    (tmp_path / "images/a.tif.ovr.txt").write_text("no image")
    write_vectors(tmp_path / "polygons.gpkg", SHAPES, classes=["roof", "roof", "field", None, "roof"])
    return tmp_path


def opened(folder, vectors="polygons.gpkg", **kwargs):
    return GeoInstances(folder / "images", folder / vectors, **kwargs)


def test_one_vector_file_for_a_folder(folder):
    of = opened(folder, category_field="class", category="other", split="val")
    assert [(it.id, it.category, it.area, it.bbox, it.size, it.split) for it in of.records] == [
        ("a/1", "roof", 60, (3, 4, 10, 6), (48, 40), "val"),
        ("a/2", "roof", 192, (8, 6, 12, 16), (48, 40), "val"),
        ("a/3", "field", 50, (35, 30, 5, 10), (48, 40), "val"),
        ("b/3", "field", 50, (0, 30, 5, 10), (48, 40), "val"),
        ("b/4", "other", 96, (10, 4, 22, 17), (48, 40), "val"),
    ]
    assert all(it.gsd == pytest.approx(0.5) for it in of.records)
    assert (of.taken.features, of.taken.repaired, of.taken.empty, of.taken.outside) == (5, 0, 0, 1)
    for index, record in enumerate(of.records):
        assert int(of[index].mask.sum()) == record.area
    expected = torch.zeros(48, 40, dtype=torch.bool)
    expected[6:22, 8:20] = True
    assert torch.equal(of[1].mask[0], expected)
    assert of[0].mask[0, 8, 10]  # overlapping features stay whole
    assert of[1].mask[0, 8, 10]


def test_opening_decodes_no_image(folder):
    content = (folder / "images/a.tif").read_bytes()
    (folder / "images/a.tif").write_bytes(content[: len(content) - 3000])
    of = opened(folder)
    with pytest.raises(DataError, match=r"a\.tif cannot be read as a raster"):
        of[0]


def test_layers_in_other_reference_systems_and_rasters_of_two(folder):
    elsewhere = [
        shapely.geometry.shape(
            transform_geom("EPSG:32617", "EPSG:4326", shapely.geometry.mapping(one.buffer(-0.01, join_style="mitre")))
        )
        for one in SHAPES
    ]
    write_vectors(folder / "degrees.geojson", elsewhere, crs="EPSG:4326")
    flat = opened(folder)
    degrees = opened(folder, "degrees.geojson")
    assert [(it.area, it.bbox) for it in degrees.records] == [(it.area, it.bbox) for it in flat.records]
    x, y = rasterio.warp.transform("EPSG:32617", "EPSG:3857", [LEFT, LEFT + 20], [TOP, TOP - 24])
    mercator = rasterio.Affine((x[1] - x[0]) / 40, 0, x[0], 0, (y[1] - y[0]) / 48, y[0])
    raster(folder / "images/b.tif", crs="EPSG:3857", transform=mercator)
    both = opened(folder)
    assert [record.image for record in both.records] == ["a", "a", "a", "b", "b", "b"]
    for first, second in zip(both.records[:3], both.records[3:], strict=True):
        assert second.area == pytest.approx(first.area, rel=0.15)


def test_a_vector_file_for_each_image(folder):
    (folder / "vectors").mkdir()
    for name, shapes in (("a", SHAPES[:2]), ("b", SHAPES[3:4])):
        write_vectors(folder / f"vectors/{name}.geojson", shapes)
    of = opened(folder, "vectors")
    assert [record.id for record in of.records] == ["a/0", "a/1", "b/0"]
    for path in (folder / "vectors").iterdir():
        shutil.move(path, folder / "images")
    assert [record.id for record in GeoInstances(folder / "images").records] == ["a/0", "a/1", "b/0"]
    assert len(GeoInstances(folder / "images/a.tif", folder / "images/a.geojson")) == 2


def test_images_without_an_instance_are_told(folder):
    write_vectors(folder / "one.gpkg", SHAPES[:1])
    of = opened(folder, "one.gpkg")
    assert of.unlabelled_images() == ("b",)
    assert [scene.name for scene in geo_scenes(of)] == ["a", "b"]


def test_pixels_without_data_are_ignored(folder):
    values = np.full((3, HEIGHT, WIDTH), 700, np.uint16)
    values[:, 5:8] = 0
    raster(folder / "images/a.tif", values=values, nodata=0)
    instance = opened(folder)[0]
    assert instance.ignore[0, 5:8].all()
    assert not instance.ignore[0, 8:].any()
    assert int(instance.mask.sum()) == 60 - 30


def test_pixel_coordinates_and_world_files(tmp_path, written, picture):
    path = written("images/p.png", picture)
    write_vectors(tmp_path / "polygons.gpkg", [shapely.box(3, 2, 15, 10)], crs=None)
    of = opened(tmp_path)
    assert [(it.bbox, it.area) for it in of.records] == [((3, 2, 12, 8), 96)]
    assert math.isnan(of[0].gsd)
    assert np.array_equal(of[0].image.numpy(), picture.transpose(2, 0, 1))
    path.with_suffix(".pgw").write_text(f"0.5\n0\n0\n-0.5\n{LEFT + 0.25}\n{TOP - 0.25}\n")
    write_vectors(tmp_path / "ground.gpkg", SHAPES[:1])
    assert [it.bbox for it in opened(tmp_path, "ground.gpkg", gsd=0.5).records] == [(3, 4, 10, 6)]


def test_bands_stretch_and_all_touched(folder):
    first = opened(folder, bands=[3, 2, 1], stretch="minmax", stretch_folder=folder / "stretch")
    again = opened(folder, bands=[3, 2, 1], stretch="minmax", stretch_folder=folder / "stretch")
    plain = opened(folder, stretch="minmax")
    assert torch.equal(first[0].image, again[0].image)
    assert torch.equal(first[0].image, plain[0].image.flip(0))
    assert len(list((folder / "stretch").iterdir())) == 1
    write_vectors(folder / "thin.gpkg", [pixels(3.1, 4.1, 9.9, 4.2)])
    assert opened(folder, "thin.gpkg", all_touched=True)[0].mask.sum() == 7
    with pytest.raises(DataError, match="None of the 1 polygons has a pixel in any of the 2 images"):
        opened(folder, "thin.gpkg")


@pytest.mark.parametrize("hole", [False, True])
def test_scenes_cut_what_the_set_shows(folder, hole):
    if hole:
        values = np.random.default_rng(1).integers(1, 60_000, (3, HEIGHT, WIDTH)).astype(np.uint16)
        values[:, 5:8] = 0
        raster(folder / "images/a.tif", values=values, nodata=0)
    of = opened(folder, category_field="class", category="other")
    for scene, whole in zip(geo_scenes(of), scenes_of(of), strict=True):
        assert (scene.name, scene.size, scene.gsd) == (whole.name, whole.size, whole.gsd)
        scene = pickle.loads(pickle.dumps(scene))
        for top in (0, 16, 24):
            for left in (0, 9, 16):
                window = slice(top, top + 24), slice(left, left + 24)
                got, expected = scene.cut(*window), whole.cut(*window)
                assert torch.equal(got.image, expected.image)
                assert [(it.instance, it.category, it.bbox) for it in got.objects] == [
                    (it.instance, it.category, it.bbox) for it in expected.objects
                ]
                assert all(torch.equal(a.mask, b.mask) for a, b in zip(got.objects, expected.objects, strict=True))
                assert (got.ignore is None) == (expected.ignore is None)
                assert got.ignore is None or torch.equal(got.ignore, expected.ignore)
        pickle.dumps(scene)


def test_faults(folder, tmp_path):
    with pytest.raises(DataError, match=r"There is no file or folder .*nowhere"):
        GeoInstances(folder / "nowhere", folder / "polygons.gpkg")
    with pytest.raises(DataError, match=r"There is no file .*gone\.gpkg"):
        opened(folder, "gone.gpkg")
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty has no file ending in \.png"):
        GeoInstances(folder / "empty", folder / "polygons.gpkg")
    with pytest.raises(DataError, match="has no field 'kind'; it has class"):
        opened(folder, category_field="kind")
    write_vectors(folder / "far.gpkg", SHAPES[4:])
    with pytest.raises(DataError, match=r"None of the 1 polygons has a pixel in any of the 2 images .* say their reference"):
        opened(folder, "far.gpkg")
    (folder / "vectors").mkdir()
    write_vectors(folder / "vectors/a.gpkg", SHAPES)
    with pytest.raises(DataError, match=r"b\.tif has no vector file b\.\* .* Every image needs one"):
        opened(folder, "vectors")
    write_vectors(folder / "vectors/b.gpkg", SHAPES)
    write_vectors(folder / "vectors/c.gpkg", SHAPES)
    with pytest.raises(DataError, match=r"c\.gpkg has no image c\.\*"):
        opened(folder, "vectors")
    write_vectors(folder / "vectors/c.geojson", SHAPES)
    with pytest.raises(DataError, match="have the same name but for the ending"):
        opened(folder, "vectors")


def test_all_broken_files_are_told_at_once(folder):
    for name in "ab":
        (folder / f"images/{name}.tif").write_bytes(b"II*\0")
    with pytest.raises(DataError, match="1 more such fault") as caught:
        opened(folder)
    assert [f"{name}.tif cannot" in fault for name, fault in zip("ab", caught.value.faults, strict=True)] == [True, True]


def test_a_raster_without_a_true_place(folder):
    raster(folder / "images/a.tif", transform=rasterio.Affine(1, 1, LEFT, 1, 1, TOP))
    with pytest.raises(DataError, match=r"The image 'a' of .* has no place on the ground: The transform"):
        opened(folder)


LABELLED = {
    "sample_geotiff": ("geotiff_labels", 43, 0.5),
    "sample_geotiff_custom_proj": ("geotiff_custom_proj_labels", 19, 30.0),
}


@pytest.mark.parametrize("name", LABELLED)
def test_example_layers(shared, name):
    examples = shared / "data" / "geotiff"
    if not examples.is_dir():
        pytest.skip(f"no {examples}")
    vectors, count, gsd = LABELLED[name]
    of = GeoInstances(examples / f"{name}.tif", examples / f"{vectors}.geojson")
    assert len(of) == of.taken.features == count
    assert all(int(of.read_mask(record)[0].sum()) == record.area for record in of.records)
    assert of[0].gsd == pytest.approx(gsd)
    cut = geo_scenes(of)[0].cut(slice(100, 300), slice(50, 250))
    assert torch.equal(cut.image, of[0].image[:, 100:300, 50:250])


def test_a_picture_of_eight_bit_is_taken_as_it_is(tmp_path, picture):
    (tmp_path / "images").mkdir()
    Image.fromarray(picture).save(tmp_path / "images/a.tif")
    write_vectors(tmp_path / "polygons.geojson", [shapely.box(1, 1, 5, 5)], crs="EPSG:32617")
    of = opened(tmp_path, "polygons.geojson")
    assert np.array_equal(of[0].image.numpy(), picture.transpose(2, 0, 1))
