"""The page in headless Chromium with the weights that ship: buildings of the drawn scene, from a click to the export."""

from contextlib import closing

import numpy as np
import pyogrio
import rasterio
import shapely
from annotator.client import Client, serving
from annotator.hands import Hands
from annotator.screenshots import CENTRE, REACH, VIEW, annotate, look_at_the_middle, middle
from rasterio.features import rasterize

from vfm_isrefiner.annotator.app import create_app
from vfm_isrefiner.annotator.example import GSD, SEED, SIZE, example_scene
from vfm_isrefiner.annotator.scene import AnnotatedScene
from vfm_isrefiner.data.synthetic import draw_scene
from vfm_isrefiner.predictor import Predictor


def buildings(count):
    """Masks (H, W) of the largest ones that are whole in the part of the scene which is shown."""
    _, ids, categories = draw_scene(np.random.default_rng([SEED, *SIZE]), SIZE, "urban", GSD)
    masks = [ids == number for number, category in categories.items() if category == "building"]
    near = [mask for mask in masks if all(abs(a - b) < 0.8 * c for a, b, c in zip(middle(mask), CENTRE, REACH, strict=True))]
    return sorted(near, key=lambda mask: -mask.sum())[:count]


def test_buildings_are_exported_as_they_are(browser, tmp_path):
    path, wanted = example_scene(tmp_path), buildings(3)
    scene = AnnotatedScene("0", path, path.with_suffix(".gpkg"), tmp_path, ["building"])
    app = create_app(Predictor.from_checkpoint("default"), [scene])
    with serving(app) as port, closing(Client(port)) as client:
        page = browser.new_context(viewport=VIEW).new_page()
        page.clock.install()
        hands = Hands(page, f"http://127.0.0.1:{port}/").open()
        look_at_the_middle(hands, path)
        for truth in wanted:
            hands.key("1")
            annotate(hands, client, truth, most=12, good=0.85)
            hands.accept()
        hands.listed(len(wanted))
        exported = hands.export("GeoPackage", tmp_path / "out")
        page.context.close()
    with rasterio.open(path) as raster:
        transform, crs = raster.transform, raster.crs
    meta, _, geometry, _ = pyogrio.raw.read(exported)
    assert rasterio.crs.CRS.from_user_input(meta["crs"]) == crs
    found = [rasterize([shapely.from_wkb(one)], SIZE, transform=transform) > 0 for one in geometry]
    assert len(found) == len(wanted)
    for truth in wanted:
        assert max((mask & truth).sum() / (mask | truth).sum() for mask in found) >= 0.8
