"""Objects played on windows of a scene, by a network whose masks are known."""

import threading

import numpy as np
import pytest
import shapely
from batch_scenes import CLICKS, GRIDS, OBJECTS, SIZE, VALUES, SameGrey, at, predictor, truth, write_prompts, write_scene

from vfm_isrefiner.batch.playing import innermost, play
from vfm_isrefiner.batch.windows import WindowRule
from vfm_isrefiner.geo.ground import read_grid
from vfm_isrefiner.geo.prompt_layer import read_prompts
from vfm_isrefiner.geo.windows import RasterWindows
from vfm_isrefiner.predictor import Predictor
from vfm_isrefiner.zoom import ZoomRule


def played(tmp_path, network, rule, geometries=None, **columns):
    scene = write_scene(tmp_path / "scene.tif")
    prompts = write_prompts(tmp_path / "prompts.gpkg", geometries, **columns)
    layer = read_prompts(prompts, read_grid(scene))
    with RasterWindows(scene) as windows:
        return list(play(predictor(network), windows, layer.objects, rule))


def whole(one):
    mask = np.zeros(SIZE, bool)
    (row, column), (height, width) = one.corner, one.size
    mask[row : row + height, column : column + width] = one.mask
    return mask


@pytest.mark.parametrize("rule", [WindowRule(32, 256), WindowRule(64, 64), WindowRule(512, 4096)])
def test_masks_lie_where_the_objects_are(tmp_path, rule):
    found = {one.name: one for one in played(tmp_path, SameGrey(), rule)}
    assert set(found) == set(CLICKS)
    for name, value in VALUES.items():
        if rule.most == 64 and name == "c":
            continue
        assert np.array_equal(whole(found[name]), truth(value))
        assert (found[name].clicks, found[name].cut) == (1, False)
        assert found[name].score > 0.99
    if rule.most == 64:  # longer than the largest window
        assert found["c"].cut
        assert np.array_equal(whole(found["c"]), truth(200) & (np.arange(96) < 64))


def test_windows_are_shared_and_grow(tmp_path):
    network = SameGrey()
    points = [at(8, 6), at(9, 7), at(8, 60), at(8, 8)]
    found = played(tmp_path, network, WindowRule(32, 128), points, object=[1, 2, 3, 4])
    assert [one.name for one in found] == ["1", "2", "4", "3"], "what grows comes last"
    # three objects on one window of 32, the long one on one of 32, then 64, then 128: the whole scene
    assert network.encoded == [(32, 32), (32, 32), (64, 64), (64, 96)]
    assert network.passes == 6


@pytest.mark.parametrize("gather", [0, 3])
def test_several_workers_give_the_same_in_the_same_order(tmp_path, gather):
    points = [at(8, 6), at(72, 45), at(9, 7), at(8, 60), at(8, 8), at(34, 10), at(80, 47)]
    expected = played(tmp_path, SameGrey(), WindowRule(32, 128), points, object=list(range(7)))
    layer = read_prompts(tmp_path / "prompts.gpkg", read_grid(tmp_path / "scene.tif"))
    network = SameGrey()
    shared = Predictor(network, zoom=ZoomRule(None, skip_clicks=999), gather=gather)
    with RasterWindows(tmp_path / "scene.tif") as windows:
        assert list(play(shared, windows, layer.objects, WindowRule(32, 128), workers=3)) == expected
    shared.close()
    assert len(network.encoded) <= 6, "objects of one window share its features"


def test_the_next_window_is_read_while_one_is_played(tmp_path):
    write_scene(tmp_path / "scene.tif")
    write_prompts(tmp_path / "prompts.gpkg")
    layer = read_prompts(tmp_path / "prompts.gpkg", read_grid(tmp_path / "scene.tif"))
    readers, second = [], threading.Event()

    class Watched:
        def __init__(self, windows):
            self.windows, self.size = windows, windows.size

        def read(self, rows, columns):
            readers.append(threading.get_ident())
            if len(readers) == 2:
                second.set()
            return self.windows.read(rows, columns)

    class Waiting(SameGrey):
        def __call__(self, *inputs):
            assert second.wait(30)  # would never come if windows were read in turn
            return super().__call__(*inputs)

    with RasterWindows(tmp_path / "scene.tif") as windows:
        found = list(play(predictor(Waiting()), Watched(windows), layer.objects, WindowRule(64, 64)))
    assert len(found) == 4
    assert len(readers) == 2
    assert set(readers) != {threading.get_ident()}


def test_clicks_are_played_in_order_and_on_edges(tmp_path):
    network = SameGrey()
    edge = shapely.Point(GRIDS["utm"][0] @ (96 - 1e-9, 64 - 1e-9))
    found = played(tmp_path, network, WindowRule(32, 64), [at(8, 6), at(34, 10), edge], object=[1, 1, 2], label=[1, 1, 1])
    assert network.passes == 3
    assert [one.clicks for one in sorted(found, key=lambda one: one.name)] == [2, 1]
    first = next(one for one in found if one.name == "1")
    assert np.array_equal(whole(first), truth(60) | truth(100))


def test_a_polygon_starts_its_object(tmp_path):
    seen = []

    class Seeing(SameGrey):
        def __call__(self, features, click_maps, prev_prob, mod_prob):
            seen.append((prev_prob[0, 0].numpy() > 0.5, click_maps[0].numpy().argmax(), features.image.shape[-1]))
            return super().__call__(features, click_maps, prev_prob, mod_prob)

    transform = GRIDS["utm"][0]
    rough = shapely.Polygon([transform @ one for one in ((72, 42), (88, 42), (88, 50), (72, 50))])
    (one,) = played(tmp_path, Seeing(), WindowRule(64, 64), [rough])
    started = np.zeros((64, 64), bool)
    started[42:50, 72 - 32 : 88 - 32] = True
    assert np.array_equal(seen[0][0], started)
    assert (one.clicks, one.score > 0.99) == (1, True)
    assert np.array_equal(whole(one), truth(150))
    (one,) = played(tmp_path, SameGrey(), WindowRule(64, 64), [rough, at(80, 44)], object=[1, 1])
    assert one.clicks == 1, "the point of its own id instead of one inside"


def test_the_innermost_pixel():
    area = np.zeros((20, 20), bool)
    area[2:9, 3:14] = True
    click = innermost(area)
    assert (click.y, click.positive) == (5, True)
    assert 6 <= click.x <= 10
    assert OBJECTS


def test_an_empty_mask_is_finished_too(tmp_path):
    class Nothing(SameGrey):
        def __call__(self, *inputs):
            return super().__call__(*inputs) * 0 - 10

    (one,) = played(tmp_path, Nothing(), WindowRule(64, 64), [at(1, 1)])
    assert (one.size, one.score, one.counts, one.mask.shape) == ((0, 0), 0, "", (0, 0))


def test_prompts_too_far_apart_are_told_before_anything_is_played(tmp_path):
    network = SameGrey()
    with pytest.raises(ValueError, match="prompts of object 2 are 81 pixels apart"):
        played(tmp_path, network, WindowRule(32, 64), [at(5, 5), at(5, 5), at(85, 5)], object=[1, 2, 2])
    assert network.passes == 0
